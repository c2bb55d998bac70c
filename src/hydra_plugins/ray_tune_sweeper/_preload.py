"""Imports what trials will need; Ray has its first workers import this module before they are given any trial."""

from __future__ import annotations

import contextlib
import importlib
import os

VARIABLE = "HYDRA_RAY_TUNE_PRELOAD"

for _module in os.environ.get(VARIABLE, "").split(","):
    # what is wrong with a module will be said by the trial that imports it; here it would end the worker
    with contextlib.suppress(Exception):
        importlib.import_module(_module)
