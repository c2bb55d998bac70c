"""What a process of Heldout says while it works."""

from __future__ import annotations

import logging
import sys


def configure_logging() -> None:
    """Plain progress lines on standard output, for runs that Hydra does not log."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
