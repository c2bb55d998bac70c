"""The stage `explain`."""

from __future__ import annotations

import logging

from heldout.config.explain import ExplainConfig

logger = logging.getLogger(__name__)


def run(config: ExplainConfig) -> None:
    """Explains examples of a run and says where the pages are."""
    from heldout.explain.explain import explain

    logger.info("explained in %s", explain(config))
