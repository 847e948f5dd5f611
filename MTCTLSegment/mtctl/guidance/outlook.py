"""How sure a mask under questions is, and the words of the strip that says so. Nothing here needs torch or scipy."""

from __future__ import annotations

from dataclasses import dataclass

from mtctl.measures.document import IntervalEstimate
from mtctl.review.answers import ShownQuestion
from mtctl.system.fields import Share


@dataclass(frozen=True)
class Outlook:
    """How sure a mask is, with what a reader has settled.

    Attributes:
        volume_ml: Its volume with a 90 % interval; None for an empty mask.
        doubt_left: How much of the disagreement that was expected at first is still to be expected.
    """

    volume_ml: IntervalEstimate | None
    doubt_left: Share

    def likely_dice(self, at_first: tuple[float, float]) -> tuple[float, float]:
        """Return the interval of the Dice to be expected now.

        Args:
            at_first: That of the model's mask (`case_score_interval` of its report).
        """
        low, high = (1 - (1 - end) * self.doubt_left for end in at_first)
        return low, high


def question_words(number: int, count: int, question: ShownQuestion) -> str:
    """Return a question for the strip: "question 2 of 4: right inferior vein: does it go on? (+ 1.8 mL)".

    Args:
        number: Its place among the questions, from 1.
        count: How many there are.
        question: The question.
    """
    return f"question {number} of {count}: {question.words}"


def outlook_words(outlook: Outlook | None, at_first: tuple[float, float] | None) -> str:
    """Return what is expected of a mask, for the strip: "likely Dice 0.91-0.95, volume 104-112 mL".

    Args:
        outlook: What is known of the mask; None: nothing yet.
        at_first: The model's interval of the Dice; None where it is not known, as for somebody else's segmentation.

    Returns:
        The words; "" where nothing is known.
    """
    words = []
    if at_first is not None:
        low, high = at_first if outlook is None else outlook.likely_dice(at_first)
        words.append(f"likely Dice {low:.2f}-{high:.2f}")
    volume = outlook.volume_ml if outlook is not None else None
    if volume is not None:
        known = volume.low is not None and volume.high is not None
        words.append(f"volume {volume.low:.0f}-{volume.high:.0f} mL" if known else f"volume {volume.value:.0f} mL")
    return ", ".join(words)
