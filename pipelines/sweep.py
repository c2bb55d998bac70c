"""Stage `sweep`: a sweep of conf/matrix.yaml by its name. Frozen in dvc.yaml: it runs when it is asked for."""

import sys

from heldout.cli import main

if __name__ == "__main__":
    sys.exit(main(["sweep", *sys.argv[1:]]))
