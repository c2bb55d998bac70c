"""Stage `predict`: a model, and Hydra overrides."""

import sys

from heldout.app import main

if __name__ == "__main__":
    sys.exit(main("predict"))
