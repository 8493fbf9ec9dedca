"""The deliver stage: one result to one destination, tried until it is there or parked with the reason.

Sending twice is harmless: the object carries the same UIDs and bytes each time.
"""

from services.context import Context
from services.delivery import orthanc, store_scu
from services.delivery.part10 import NotDICOM
from services.delivery.verdicts import Outcome, Verdict
from services.errors import Reject, Retry
from services.ledger import deliveries
from services.ledger.jobs import Stage
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
        data = context.store.get(delivery.digest)
    except KeyError as error:
        raise Retry(f"The bytes of a result for {destination.name} are not in the store.") from error
    outcome = _send(destination, data, delivery.sop_instance_uid, context.settings.router.ae_title)
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


def _send(destination: Destination, data: bytes, sop_instance_uid: str, calling_ae: str) -> Outcome:
    if destination.kind == "orthanc":
        return orthanc.upload(
            data,
            sop_instance_uid,
            url=destination.url or "",
            username=destination.username,
            password=destination.password,
            timeout_s=destination.timeout_s,
        )
    peer = store_scu.Peer(
        destination.ae_title or "", destination.host or "", destination.port or 0, destination.timeout_s
    )
    try:
        return store_scu.send([data], peer, calling_ae)[0]
    except NotDICOM as error:
        return Outcome(sop_instance_uid, Verdict.REJECT, f"the stored result is no DICOM file ({error})")


def _where(destination: Destination) -> str:
    """The destination and what its setting says, for whoever has to mend it; no password."""
    if destination.kind == "orthanc":
        return f"Destination {destination.name} (url = {destination.url})"
    address = f"ae_title = {destination.ae_title}, host = {destination.host}, port = {destination.port}"
    return f"Destination {destination.name} ({address})"
