"""Storage commitment with a real Orthanc, and with archives that think it over, refuse or answer at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from support.deliveries import Queued, queue_deliveries
from support.orthanc import run_orthanc
from support.ports import free_ports

from dicom_router.listener import Listener
from services.archive_settings import Destination
from services.context import Context
from services.delivery import deliver
from services.errors import Reject, Retry
from services.storage_commitment import SOP_CLASS, SOP_INSTANCE

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
DELIVERED = ("delivered", "It has committed to keep it.")


@pytest.fixture
def listening(context: Context) -> Iterator[tuple[Context, int]]:
    router = context.settings.router.model_copy(update={"port": free_ports(1)[0], "low_disk_mb": 0})
    context = replace(context, settings=context.settings.model_copy(update={"router": router}))
    listener = Listener(context)
    listener.start()
    yield context, listener.port
    listener.stop()


def to(context: Context, destination: Destination) -> Context:
    return replace(context, settings=context.settings.model_copy(update={"destinations": (destination,)}))


def state(context: Context, queued: Queued) -> tuple[str, str | None]:
    with context.pool.connection() as connection:
        row = connection.execute("SELECT state, reason FROM delivery WHERE id = %s", [queued.delivery_id]).fetchone()
    assert row is not None
    return row["state"], row["reason"]


@contextmanager
def archive(on_action: Callable[[evt.Event], tuple[int, None]] | None) -> Iterator[Destination]:
    """Stores segmentations and answers the question by `on_action`; None: it knows no storage commitment."""
    [port] = free_ports(1)
    entity = AE(ae_title="ARCHIVE")
    entity.add_supported_context(SEGMENTATION)
    handlers: list[Any] = [(evt.EVT_C_STORE, lambda _: 0x0000)]
    if on_action is not None:
        entity.add_supported_context(SOP_CLASS)
        handlers.append((evt.EVT_N_ACTION, on_action))
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    try:
        yield Destination(name="archive", ae_title="ARCHIVE", host="127.0.0.1", port=port, commitment=True, timeout_s=5)
    finally:
        server.shutdown()


def report_on(asked: Dataset, *, failed: int | None = None) -> Dataset:
    report = Dataset()
    report.TransactionUID = asked.TransactionUID
    items = []
    for item in asked.ReferencedSOPSequence:
        each = Dataset()
        each.ReferencedSOPClassUID = item.ReferencedSOPClassUID
        each.ReferencedSOPInstanceUID = item.ReferencedSOPInstanceUID
        if failed is not None:
            each.FailureReason = failed
        items.append(each)
    setattr(report, "ReferencedSOPSequence" if failed is None else "FailedSOPSequence", Sequence(items))
    return report


def send_report(port: int, report: Dataset, *, as_scp: bool = True) -> int:
    """As an archive does, by an association of its own; the status of the answer."""
    entity = AE(ae_title="ARCHIVE")
    entity.add_requested_context(SOP_CLASS)
    roles: list[Any] = [build_role(SOP_CLASS, scp_role=True)] if as_scp else []
    association = entity.associate("127.0.0.1", port, ext_neg=roles)
    assert association.is_established
    status, _ = association.send_n_event_report(
        report, 2 if "FailedSOPSequence" in report else 1, SOP_CLASS, SOP_INSTANCE
    )
    association.release()
    return int(status.Status)


def test_orthanc_commits_to_what_it_stored(listening: tuple[Context, int], tmp_path: Path) -> None:
    context, port = listening
    with run_orthanc(tmp_path, calls={"NIGHTJAR": port}) as orthanc:
        context = to(context, orthanc.committing)
        queued = queue_deliveries(context, "pacs")
        for result in queued.values():
            deliver.run(context, result.delivery_id)
        assert {state(context, result) for result in queued.values()} == {DELIVERED}
        assert len(orthanc.find(SOPInstanceUID=queued["seg"].sop_instance_uid)) == 1


def test_an_archive_that_thinks_it_over(listening: tuple[Context, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "AT_ONCE_S", 0.1)
    context, port = listening
    asked: list[Dataset] = []

    def on_action(event: evt.Event) -> tuple[int, None]:
        asked.append(event.action_information)
        return 0x0000, None

    with archive(on_action) as destination:
        context = to(context, destination)
        queued = queue_deliveries(context, "archive")["seg"]
        for _ in range(2):
            with pytest.raises(Retry, match="not committed"):
                deliver.run(context, queued.delivery_id)
        assert state(context, queued)[0] == "pending"
        assert len(asked) == 1  # it is not sent again while it is thought over

        assert send_report(port, report_on(asked[0], failed=0x0213)) == 0x0000
        assert state(context, queued) == ("pending", "It does not commit to 1 of 1 instances (reason 0x0213).")
        with pytest.raises(Retry, match="not committed"):
            deliver.run(context, queued.delivery_id)
        assert len(asked) == 2  # now it was
        deliver.give_up(context, queued.delivery_id, "tried too often")
        assert state(context, queued)[0] == "parked"

        assert send_report(port, report_on(asked[1]), as_scp=False) == 0x0000
        assert state(context, queued) == DELIVERED
        deliver.run(context, queued.delivery_id)
        assert len(asked) == 2


def test_a_report_that_nobody_asked_for_changes_nothing(listening: tuple[Context, int]) -> None:
    _, port = listening
    stranger = Dataset()
    stranger.TransactionUID = "2.25.1"
    assert send_report(port, stranger) == 0x0115
    stranger.TransactionUID = ""
    assert send_report(port, stranger) == 0x0110


@pytest.mark.parametrize(("failed", "expected"), [(None, DELIVERED[0]), (0x0110, "pending")])
def test_an_archive_that_reports_by_the_same_association(context: Context, failed: int | None, expected: str) -> None:
    def on_action(event: evt.Event) -> tuple[int, None]:
        message = N_EVENT_REPORT()
        message.MessageID, message.EventTypeID = 7, 1 if failed is None else 2
        message.AffectedSOPClassUID, message.AffectedSOPInstanceUID = SOP_CLASS, SOP_INSTANCE
        syntax = event.context.transfer_syntax
        report = report_on(event.action_information, failed=failed)
        message.EventInformation = BytesIO(encode(report, syntax.is_implicit_VR, syntax.is_little_endian) or b"")
        event.assoc.dimse.send_msg(message, event.context.context_id)
        return 0x0000, None

    with archive(on_action) as destination:
        context = to(context, destination)
        queued = queue_deliveries(context, "archive")["seg"]
        if failed is None:
            deliver.run(context, queued.delivery_id)
        else:
            with pytest.raises(Retry, match="does not commit"):
                deliver.run(context, queued.delivery_id)
    assert state(context, queued)[0] == expected


def test_an_archive_that_refuses_or_does_not_know_how(context: Context) -> None:
    queued = queue_deliveries(context, "archive")["seg"]
    with archive(lambda _: (0x0110, None)) as busy, pytest.raises(Retry, match="refuses to commit"):
        deliver.run(to(context, busy), queued.delivery_id)
    with archive(None) as plain, pytest.raises(Reject, match="Storage Commitment"):
        deliver.run(to(context, plain), queued.delivery_id)
    with context.pool.connection() as connection:
        assert connection.execute("SELECT 1 FROM commitment").fetchall() == []
