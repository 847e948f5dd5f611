"""`python -m mtctl_train.background ARGUMENTS`: what `mtctl ARGUMENTS` does, out of the way of the window.

The arguments come as `launcher.sealed`.

For a run that was started from a window and goes on without it: its priority is low, and Ctrl-C in a console that
happens to be there does not reach it.
"""

from __future__ import annotations

import signal
import sys

from mtctl.processes.launcher import unsealed
from mtctl.system.process_tree import step_back


def main(arguments: list[str]) -> int:
    """Run a subcommand; its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    step_back()
    from mtctl.commandline.main import main as command

    return command([unsealed(argument) for argument in arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
