"""Stage `prepare`: Hydra overrides, or `--snapshot FILE` as dvc.yaml calls it."""

import sys

from heldout.app import main

if __name__ == "__main__":
    sys.exit(main("prepare"))
