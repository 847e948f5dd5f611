"""`python -m mtctl_train.commands.background finetune ...`: what `mtctl finetune ...` does, behind the window.

The arguments come as `launcher.encode_argument`.

For a run that was started from a window and goes on without it: its priority is low, and Ctrl-C in a console that
happens to be there does not reach it.
"""

from __future__ import annotations

import signal
import sys

from mtctl.commands.main import main as mtctl
from mtctl.processes.launcher import decode_argument
from mtctl.system.process_tree import lower_priority
from mtctl_train.commands import finetune


def main(arguments: list[str]) -> int:
    """Run the subcommand `finetune`; return its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lower_priority()
    return mtctl([decode_argument(argument) for argument in arguments], {"finetune": lambda: finetune})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
