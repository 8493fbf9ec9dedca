"""The deliver stage: a result, or a derived series, to one destination, tried until it is there or parked with why.

Sending twice is harmless: the object carries the same UIDs and bytes each time.
"""

import time
import uuid
from collections.abc import Sequence

from services.archive_settings import Destination
from services.context import Context
from services.delivery import commitment, orthanc, store_scu, stow
from services.delivery.association import Peer
from services.delivery.verdicts import Outcome, Verdict
from services.errors import Reject, Retry
from services.ledger import commitments, deliveries
from services.ledger.jobs import Stage
from services.part10 import NotDICOM, from_bytes
from services.settings import Settings

NOT_YET = "it has the result and has not committed to keep it yet"
AT_ONCE_S, LOOK_S = 3.0, 0.05
"""So long a commitment is waited for; most archives give it at once. One that comes later finds its way by itself."""


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
    if destination.commitment:
        with context.pool.connection() as connection:
            if commitments.is_awaited(connection, delivery_id):
                raise Retry(f"{_where(destination)}: {NOT_YET}.")
    try:
        files = [(uid, context.store.get(digest)) for uid, digest in delivery.instances]
    except KeyError as error:
        raise Retry(f"The bytes of a result for {destination.name} are not in the store.") from error
    outcome = _worst(_send(destination, files, context.settings.router.ae_title))
    if outcome.verdict is Verdict.STORED and destination.commitment:
        outcome = _commit(context, destination, delivery_id, files)
    if outcome.verdict is Verdict.STORED:
        with context.pool.connection() as connection:
            deliveries.delivered(connection, delivery_id, outcome.reason)
        return
    sentence = f"{_where(destination)}: {outcome.reason}."
    with context.pool.connection() as connection:
        deliveries.refused(connection, delivery_id, sentence)
    raise (Retry if outcome.verdict is Verdict.RETRY else Reject)(sentence)


def _commit(
    context: Context, destination: Destination, delivery_id: int, files: Sequence[tuple[str, bytes]]
) -> Outcome:
    """Ask for storage commitment: stored once it is given, else why not yet."""
    transaction_uid = f"2.25.{uuid.uuid4().int}"
    with context.pool.connection() as connection:
        commitments.ask(connection, transaction_uid, delivery_id)  # first: the answer may be faster than we are
    instances = [(file.sop_class_uid, file.sop_instance_uid) for file in (from_bytes(data) for _, data in files)]
    (verdict, reason), report = commitment.ask(
        instances, transaction_uid, _peer(destination), context.settings.router.ae_title
    )
    with context.pool.connection() as connection:
        if verdict is not Verdict.STORED:
            commitments.withdraw(connection, transaction_uid)
            return Outcome(files[0][0], verdict, reason)
        if report is not None:
            commitments.answer(connection, report)
    end = time.monotonic() + AT_ONCE_S
    awaited = True
    while awaited and time.monotonic() < end:
        with context.pool.connection() as connection:
            awaited = commitments.is_awaited(connection, delivery_id)
            if deliveries.is_delivered(connection, delivery_id):
                return Outcome(files[0][0], Verdict.STORED)
        time.sleep(LOOK_S)
    return Outcome(files[0][0], Verdict.RETRY, NOT_YET if awaited else "it does not commit to keep the result")


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
    try:
        return store_scu.send([data for _, data in files], _peer(destination), calling_ae)
    except NotDICOM as error:
        return [Outcome(files[0][0], Verdict.REJECT, f"the stored result is no DICOM file ({error})")]


def _peer(destination: Destination) -> Peer:
    return Peer(destination.ae_title or "", destination.host or "", destination.port or 0, destination.timeout_s)


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
