"""Sends what runs could not send while their tracking store was away."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from heldout.config.tracking import URI_VARIABLE, TrackingConfig
from heldout.errors import UserError
from heldout.tracking.delivery import Delivery, is_refusal
from heldout.tracking.errors import RunInUse, TrackingAddressError, TrackingUnavailable
from heldout.tracking.runs import SPOOL_ROOT
from heldout.tracking.spool import Spool, find_spools, read_destination
from heldout.tracking.store import HIDDEN, hide_password, is_server, open_store

log = logging.getLogger(__name__)


def sync(root: Path = SPOOL_ROOT) -> int:
    """Sends all that waits at or below `root`, each run to the store it began in; returns how many operations.

    Sending again what was sent before changes nothing, so that this may be interrupted. Runs that another process is
    telling of at the moment are left to it.

    Raises:
        TrackingUnavailable: a store did not answer; what the others could take is sent all the same.
    """
    sent = 0
    problems = []
    for directory in find_spools(root):
        try:
            sent += _send(directory)
        except RunInUse as error:
            log.info("%s", error)
        except UserError as error:
            problems.append(f"{directory}: {error}")
    if problems:
        raise TrackingUnavailable("\n".join([*problems, f"{sent} operations were sent. Run `heldout sync` again."]))
    return sent


def _send(directory: Path) -> int:
    destination = read_destination(directory)
    if destination is None:
        log.warning("%s has no readable header: it was cut off before anything was written to it", directory)
        return 0
    uri = _with_password(destination.uri)
    spool = Spool(directory, destination)
    spool.lock()
    try:
        client = open_store(uri, TrackingConfig().request_seconds)
        sent = _replay(spool, Delivery(client, destination, spool.files), is_server(uri))
        spool.remove()
    finally:
        spool.unlock()
    log.info("run %s: %d operations sent to %s", destination.run_id, sent, destination.uri)
    return sent


def _replay(spool: Spool, deliver: Delivery, from_server: bool) -> int:
    sent = 0
    for offset, operation in spool.pending():
        try:
            deliver(operation)
            sent += 1
        # as in the outbox: whatever the layers below raise
        except Exception as error:
            if not is_refusal(error, from_server):
                raise TrackingUnavailable(f"{spool.destination.uri} did not take it ({error})") from error
            log.error("run %s: refused: %s", spool.destination.run_id, error)
        spool.acknowledge(offset)
    return sent


def _with_password(uri: str) -> str:
    if HIDDEN not in uri:
        return uri
    known = os.environ.get(URI_VARIABLE, "")
    if hide_password(known) == uri:
        return known
    raise TrackingAddressError(
        f"the password of {uri} is not kept on disk. Set {URI_VARIABLE} to the address with its password."
    )
