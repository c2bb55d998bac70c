"""Stage `snapshot`: the config of every downstream stage, composed into a file of its own."""

import sys
from pathlib import Path

from heldout import warm
from heldout.app import noted
from heldout.config.snapshot import write_snapshots
from heldout.errors import UserError, complain

if __name__ == "__main__":
    # a config changed, so that a training will follow: what it imports can load meanwhile
    warm.wake()
    try:
        count = write_snapshots(Path("snapshots"))
    except UserError as error:
        sys.exit(noted(complain(error)))
    sys.stdout.write(f"{count} configs composed\n")
