"""`python -m heldout` is the command `heldout`."""

import sys

from heldout.cli import main

if __name__ == "__main__":
    sys.exit(main())
