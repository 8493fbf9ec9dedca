"""Storage SCU (PS3.4 B): instances go out as the bytes they are, one association for many."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode, encode
from pynetdicom.presentation import build_context

from services.delivery.association import SCU, Peer, Problem, connect
from services.delivery.verdicts import Outcome, Verdict, judge_dimse
from services.part10 import NotDICOM, StoredInstance, from_bytes, from_path

MAXIMUM_CONTEXTS = 128  # PS3.8 9.3.2: odd identifiers of one byte
ASSOCIATION_TRIES = 3
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SendSummary:
    """What became of a directory.

    Attributes:
        sent: instances the peer stored.
        failures: (file, reason) of those it did not.
        skipped: files that are not DICOM.
    """

    sent: int
    failures: tuple[tuple[str, str], ...] = ()
    skipped: tuple[str, ...] = field(default=())


def send(instances: Iterable[bytes], peer: Peer, calling_ae: str) -> list[Outcome]:
    """Store Part 10 files; one outcome each, in order. Says why instead of raising.

    Raises:
        NotDICOM: one of them is no Part 10 file; nothing was sent.
    """
    return send_instances([from_bytes(data) for data in instances], peer, calling_ae)


def send_directory(
    directory: Path, peer: Peer, *, calling_ae: str = "NIGHTJAR-SEND", progress: Progress | None = None
) -> SendSummary:
    """Store every DICOM file below a directory, in order of their paths; other files are named and left out."""
    instances, skipped = [], []
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        try:
            instances.append(from_path(path))
        except NotDICOM:
            skipped.append(str(path))
    outcomes = send_instances(instances, peer, calling_ae, progress=progress)
    failures = tuple(
        (instance.source, outcome.reason)
        for instance, outcome in zip(instances, outcomes, strict=True)
        if outcome.verdict is not Verdict.STORED
    )
    return SendSummary(sent=len(instances) - len(failures), failures=failures, skipped=tuple(skipped))


def send_instances(
    instances: Sequence[StoredInstance], peer: Peer, calling_ae: str, *, progress: Progress | None = None
) -> list[Outcome]:
    """Store instances; one outcome each, in order.

    A lost association is opened again for the instances without an answer; a peer that cannot be reached is not tried
    again.
    """
    outcomes: dict[int, Outcome] = {}

    def note(index: int, outcome: Outcome) -> None:
        outcomes[index] = outcome
        if progress is not None:
            progress(len(outcomes), len(instances))

    for group in _group(instances):
        waiting = group
        for attempt in range(1, ASSOCIATION_TRIES + 1):
            problem = _send_group(instances, waiting, peer, calling_ae, note)
            waiting = [index for index in waiting if index not in outcomes]
            if not waiting:
                break
            if attempt == ASSOCIATION_TRIES or problem.final:
                for index in waiting:
                    note(index, Outcome(instances[index].sop_instance_uid, problem.verdict, problem.reason))
                break
    return [outcomes[index] for index in range(len(instances))]


def _send_group(
    instances: Sequence[StoredInstance],
    waiting: Sequence[int],
    peer: Peer,
    calling_ae: str,
    note: Callable[[int, Outcome], None],
) -> Problem:
    contexts = [
        build_context(UID(sop_class), UID(syntax))
        for sop_class, syntax in sorted({pair for index in waiting for pair in _proposals(instances[index])})
    ]
    opened = connect(peer, calling_ae, contexts)
    if isinstance(opened, Problem):
        return opened
    ae, association = opened
    try:
        for number, index in enumerate(waiting):
            instance = instances[index]
            outcome = _store(ae, association, instance, number % 0xFFFF + 1)
            if outcome is None:
                return Problem("it did not answer, or ended the association")
            note(index, outcome)
        return Problem()
    finally:
        if association.is_established:
            association.release()


def _store(ae: SCU, association: Association, instance: StoredInstance, message_id: int) -> Outcome | None:
    """One C-STORE; None when no answer came and the association is of no more use."""
    accepted = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0])): int(context.context_id or 0)
        for context in association.accepted_contexts
    }
    for sop_class, syntax in _proposals(instance):
        if (sop_class, syntax) in accepted:
            break
    else:
        reason = f"it does not accept {UID(instance.sop_class_uid).name} as {UID(instance.transfer_syntax_uid).name}"
        return Outcome(instance.sop_instance_uid, Verdict.REJECT, reason)
    try:
        data = instance.load()
        if syntax != instance.transfer_syntax_uid:
            data = _reencode(data, UID(instance.transfer_syntax_uid), UID(syntax))
    except Exception as error:  # noqa: BLE001 - one file that cannot be read must not end the others' sending
        return Outcome(instance.sop_instance_uid, Verdict.REJECT, f"its bytes cannot be read ({type(error).__name__})")
    request = C_STORE()
    request.MessageID = message_id
    request.AffectedSOPClassUID = instance.sop_class_uid
    request.AffectedSOPInstanceUID = instance.sop_instance_uid
    request.Priority = 0
    request.DataSet = BytesIO(data)
    if not association.is_established:
        return None
    association.dimse.send_msg(request, accepted[sop_class, syntax])
    response = ae.await_message(association)
    if not isinstance(response, C_STORE) or response.Status is None:
        association.abort()
        return None
    verdict, reason = judge_dimse(int(response.Status))
    return Outcome(instance.sop_instance_uid, verdict, reason)


def _proposals(instance: StoredInstance) -> list[tuple[str, str]]:
    """Presentation contexts it can go by, best first; a native one also as Implicit VR Little Endian (PS3.5 10.1)."""
    pairs = [(instance.sop_class_uid, instance.transfer_syntax_uid)]
    if instance.transfer_syntax_uid in _NATIVE and instance.transfer_syntax_uid != ImplicitVRLittleEndian:
        pairs.append((instance.sop_class_uid, ImplicitVRLittleEndian))
    return pairs


def _reencode(data: bytes, source: UID, target: UID) -> bytes:
    dataset = decode(BytesIO(data), source.is_implicit_VR, source.is_little_endian)
    encoded = encode(dataset, target.is_implicit_VR, target.is_little_endian)
    if encoded is None:
        raise ValueError("cannot be encoded")
    return encoded


def _group(instances: Sequence[StoredInstance]) -> list[list[int]]:
    """Indices by association, in order: as many to one as its presentation contexts allow."""
    groups: list[list[int]] = []
    contexts: set[tuple[str, str]] = set()
    for index, instance in enumerate(instances):
        needed = contexts | set(_proposals(instance))
        if not groups or len(needed) > MAXIMUM_CONTEXTS:
            groups.append([])
            needed = set(_proposals(instance))
        groups[-1].append(index)
        contexts = needed
    return groups
