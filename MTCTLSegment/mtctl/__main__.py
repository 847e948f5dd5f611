"""`python -m mtctl` is the command `mtctl`."""

import sys

from mtctl.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
