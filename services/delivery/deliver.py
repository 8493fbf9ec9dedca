"""The deliver stage: a result, or a derived series, to one destination, tried until it is there or parked with why.

Sending twice is harmless: the object carries the same UIDs and bytes each time.
"""

from collections.abc import Sequence

from services.context import Context
from services.delivery import orthanc, store_scu, stow
from services.delivery.verdicts import Outcome, Verdict
from services.errors import Reject, Retry
from services.ledger import deliveries
from services.ledger.jobs import Stage
from services.part10 import NotDICOM
from services.settings import Destination, Settings


def stage(settings: Settings) -> Stage:
    return Stage("deliver", run, give_up, attempts=settings.worker.delivery_attempts)


def run(context: Context, delivery_id: int) -> None:
    """Send a pending delivery; nothing to do for one delivered, parked or cancelled.

    Raises:
        Retry: the destination did not take it this time.
        Reject: it never will.
    """
    with context.pool.connection() as connection:
        delivery = deliveries.take(connection, delivery_id)
    if delivery is None:
        return
    destination = _destination(context.settings, delivery.destination)
    try:
        files = [(uid, context.store.get(digest)) for uid, digest in delivery.instances]
    except KeyError as error:
        raise Retry(f"The bytes of a result for {destination.name} are not in the store.") from error
    outcome = _worst(_send(destination, files, context.settings.router.ae_title))
    if outcome.verdict is Verdict.STORED:
        with context.pool.connection() as connection:
            deliveries.delivered(connection, delivery_id, outcome.reason)
        return
    sentence = f"{_where(destination)}: {outcome.reason}."
    with context.pool.connection() as connection:
        deliveries.refused(connection, delivery_id, sentence)
    raise (Retry if outcome.verdict is Verdict.RETRY else Reject)(sentence)


def give_up(context: Context, delivery_id: int, reason: str) -> None:
    with context.pool.connection() as connection:
        deliveries.park(connection, delivery_id, reason)


def _destination(settings: Settings, name: str) -> Destination:
    for destination in settings.destinations:
        if destination.name == name:
            return destination
    raise Reject(f"destinations: none is called {name} any more; add it again or send the result elsewhere.")


def _send(destination: Destination, files: Sequence[tuple[str, bytes]], calling_ae: str) -> list[Outcome]:
    """One outcome a file, up to the first that Orthanc did not take."""
    if destination.kind == "stow":
        return stow.store(files, destination)
    if destination.kind == "orthanc":
        outcomes = []
        for sop_instance_uid, data in files:
            outcomes.append(orthanc.upload(data, sop_instance_uid, destination))
            if outcomes[-1].verdict is not Verdict.STORED:
                break
        return outcomes
    peer = store_scu.Peer(
        destination.ae_title or "", destination.host or "", destination.port or 0, destination.timeout_s
    )
    try:
        return store_scu.send([data for _, data in files], peer, calling_ae)
    except NotDICOM as error:
        return [Outcome(files[0][0], Verdict.REJECT, f"the stored result is no DICOM file ({error})")]


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    """What is said of all: the first that will never be taken, else one to try again, else the last that was."""
    for verdict in (Verdict.REJECT, Verdict.RETRY):
        for outcome in outcomes:
            if outcome.verdict is verdict:
                return outcome
    return outcomes[-1]


def _where(destination: Destination) -> str:
    """The destination and what its setting says, for whoever has to mend it; no password."""
    if destination.kind != "dicom":
        return f"Destination {destination.name} (url = {destination.url})"
    address = f"ae_title = {destination.ae_title}, host = {destination.host}, port = {destination.port}"
    return f"Destination {destination.name} ({address})"
