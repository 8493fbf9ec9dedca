"""Storage commitment, the asking side (PS3.4 J.3.2): the answer comes to the listener, or at once to us."""

import queue
from collections.abc import Iterable
from io import BytesIO

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.dsutils import encode
from pynetdicom.presentation import build_context

from services.delivery.association import Peer, Problem, connect
from services.delivery.verdicts import Verdict
from services.storage_commitment import REQUEST_COMMITMENT, SOP_CLASS, SOP_INSTANCE, Report, read_report, request

SAME_ASSOCIATION_S = 0.5
"""So long the association stays open for an archive that reports there and then."""

Told = tuple[Verdict, str]


def ask(
    instances: Iterable[tuple[str, str]], transaction_uid: str, peer: Peer, calling_ae: str
) -> tuple[Told, Report | None]:
    """Ask a peer to commit to instances, (SOP Class UID, SOP Instance UID).

    Returns:
        Whether it took the question, and its report where it came at once.
    """
    reports: queue.Queue[Report] = queue.Queue()

    def on_report(event: evt.Event) -> tuple[int, None]:
        try:
            reports.put(read_report(event.event_information))
        except Exception:  # noqa: BLE001 - what cannot be read commits to nothing
            return 0x0110, None
        return 0x0000, None

    syntaxes: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    opened = connect(peer, calling_ae, [build_context(SOP_CLASS, syntaxes)], [(evt.EVT_N_EVENT_REPORT, on_report)])
    if isinstance(opened, Problem):
        return (opened.verdict, opened.reason), None
    ae, association = opened
    try:
        [context] = association.accepted_contexts
        syntax = context.transfer_syntax[0]
        question = N_ACTION()
        question.MessageID, question.ActionTypeID = 1, REQUEST_COMMITMENT
        question.RequestedSOPClassUID, question.RequestedSOPInstanceUID = SOP_CLASS, SOP_INSTANCE
        information = encode(request(transaction_uid, instances), syntax.is_implicit_VR, syntax.is_little_endian)
        question.ActionInformation = BytesIO(information or b"")
        association.dimse.send_msg(question, context.context_id or 0)
        answer = ae.await_message(association)
        if not isinstance(answer, N_ACTION) or answer.Status is None:
            return (Verdict.RETRY, "it did not answer when asked to commit"), None
        if answer.Status:
            return (Verdict.RETRY, f"it refuses to commit (status 0x{int(answer.Status):04X})"), None
        try:
            return (Verdict.STORED, ""), reports.get(timeout=SAME_ASSOCIATION_S)
        except queue.Empty:
            return (Verdict.STORED, ""), None
    finally:
        if association.is_established:
            association.release()
