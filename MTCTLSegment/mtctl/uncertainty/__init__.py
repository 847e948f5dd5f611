"""Uncertainty maps, the case score, the uncertain regions of earlier reviews, and plausibility."""
