"""The deliver stage on a real ledger, to real receivers: delivered once, tried again, parked, cancelled."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian
from support.deliveries import Queued, queue_deliveries
from support.orthanc import Orthanc, orthanc, orthanc_server, run_orthanc  # noqa: F401
from support.ports import free_ports
from support.scripted_scp import run_scripted
from support.storescp import run_storescp

from services.archive_settings import Destination
from services.context import Context
from services.delivery import deliver
from services.errors import Reject, Retry
from services.part10 import from_bytes

SR = [(ComprehensiveSRStorage, ExplicitVRLittleEndian)]


def _with(context: Context, *destinations: Destination) -> Context:
    return replace(context, settings=context.settings.model_copy(update={"destinations": destinations}))


def _dicom(port: int, ae_title: str = "SCRIPTED", name: str = "pacs") -> Destination:
    return Destination(name=name, ae_title=ae_title, host="127.0.0.1", port=port, timeout_s=5)


def _row(context: Context, queued: Queued) -> dict[str, Any]:
    with context.pool.connection() as connection:
        row = connection.execute("SELECT * FROM delivery WHERE id = %s", [queued.delivery_id]).fetchone()
    assert row is not None
    return row


def _states(context: Context, queued: Queued) -> list[str]:
    with context.pool.connection() as connection:
        rows: Sequence[dict[str, Any]] = connection.execute(
            """SELECT detail->>'to' AS state FROM event
               WHERE entity = 'delivery' AND entity_id = %s AND kind = 'state' ORDER BY id""",
            [str(queued.delivery_id)],
        ).fetchall()
    return [row["state"] for row in rows]


@pytest.mark.parametrize("kind", ["dicom", "rest", "stow"])
def test_orthanc_has_each_result_once_however_often_it_is_sent(
    context: Context,
    orthanc: Orthanc,  # noqa: F811
    kind: str,
) -> None:
    destination: Destination = getattr(orthanc, kind)
    context = _with(context, destination)
    queued = queue_deliveries(context, destination.name)

    for result in queued.values():
        deliver.run(context, result.delivery_id)
        deliver.run(context, result.delivery_id)  # the job was repeated: there is nothing to do
        with context.pool.connection() as connection:  # the worker died after sending, before saying so
            connection.execute("UPDATE delivery SET delivered_at = NULL WHERE id = %s", [result.delivery_id])
            connection.execute("ALTER TABLE delivery DISABLE TRIGGER delivery_state")
            connection.execute("UPDATE delivery SET state = 'pending' WHERE id = %s", [result.delivery_id])
            connection.execute("ALTER TABLE delivery ENABLE TRIGGER delivery_state")
        deliver.run(context, result.delivery_id)

    for result in queued.values():
        row = _row(context, result)
        assert (row["state"], row["attempts"]) == ("delivered", 2)
        assert row["delivered_at"] is not None
        (identifier,) = orthanc.find(SOPInstanceUID=result.sop_instance_uid)
        assert from_bytes(orthanc.file(identifier)).load() == from_bytes(result.data).load()
        assert len(orthanc.qido(SOPInstanceUID=result.sop_instance_uid)) == 1


def test_a_destination_that_was_down_gets_it_once_it_is_up(context: Context, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    context = _with(context, _dicom(port, "ANY-SCP"))
    queued = queue_deliveries(context, "pacs")["seg"]

    with pytest.raises(Retry, match=f"Destination pacs .*port = {port}.*nothing answers there"):
        deliver.run(context, queued.delivery_id)
    waiting = _row(context, queued)
    assert (waiting["state"], waiting["attempts"]) == ("pending", 1)
    assert "nothing answers there" in waiting["reason"]

    received = tmp_path / "received"
    received.mkdir()
    with run_storescp(received, port=port):
        deliver.run(context, queued.delivery_id)

    row = _row(context, queued)
    assert (row["state"], row["attempts"], row["reason"]) == ("delivered", 2, None)
    assert _states(context, queued) == ["pending", "delivered"]
    (file,) = received.iterdir()
    assert from_bytes(file.read_bytes()).load() == from_bytes(queued.data).load()


def test_a_refusal_that_lasts_is_parked_and_others_are_delivered(context: Context) -> None:
    with (
        run_scripted(SR, lambda event: 0xA700) as full,
        run_scripted(SR, lambda event: 0x0000) as willing,
    ):
        context = _with(context, _dicom(full.port, name="full"), _dicom(willing.port, name="willing"))
        parked = queue_deliveries(context, "full")["sr"]
        delivered = queue_deliveries(context, "willing")["sr"]

        reason = ""
        for _ in range(3):
            with pytest.raises(Retry) as raised:
                deliver.run(context, parked.delivery_id)
            reason = str(raised.value)
        deliver.give_up(context, parked.delivery_id, reason)
        deliver.run(context, delivered.delivery_id)

        row = _row(context, parked)
        assert (row["state"], row["attempts"]) == ("parked", 3)
        assert "Destination full (ae_title = SCRIPTED" in row["reason"]
        assert "out of resources (status 0xA700)" in row["reason"]
        assert _row(context, delivered)["state"] == "delivered"
        assert len(full.received) == 3
        assert len(willing.received) == 1

        deliver.run(context, parked.delivery_id)  # parked is an end: nothing is sent
        assert len(full.received) == 3


def test_a_destination_that_cannot_take_the_class_is_not_tried_again(context: Context) -> None:
    with run_scripted(SR, lambda event: 0x0000) as scp:
        context = _with(context, _dicom(scp.port))
        queued = queue_deliveries(context, "pacs")["seg"]

        with pytest.raises(Reject, match="does not accept Segmentation Storage"):
            deliver.run(context, queued.delivery_id)

    assert scp.received == []


def test_a_destination_that_is_gone_from_the_settings_is_named(context: Context) -> None:
    queued = queue_deliveries(context, "pacs")["seg"]

    with pytest.raises(Reject, match="destinations: none is called pacs any more") as raised:
        deliver.run(context, queued.delivery_id)
    deliver.give_up(context, queued.delivery_id, str(raised.value))

    assert _row(context, queued)["state"] == "parked"


@pytest.mark.parametrize("how", ["result", "analysis"])
def test_a_superseded_result_is_not_sent(context: Context, how: str) -> None:
    with run_scripted(SR, lambda event: 0x0000) as scp:
        context = _with(context, _dicom(scp.port))
        queued = queue_deliveries(context, "pacs")["sr"]
        with context.pool.connection() as connection:
            if how == "result":
                connection.execute("UPDATE result SET superseded_at = now()")
            else:
                connection.execute("UPDATE analysis SET state = 'superseded'")

        deliver.run(context, queued.delivery_id)

    assert _row(context, queued)["state"] == "cancelled"
    assert scp.received == []


def test_orthanc_that_wants_a_login_says_so_without_the_password(context: Context, tmp_path: Path) -> None:
    with run_orthanc(tmp_path, users={"nightjar": "right"}) as server:
        wrong = server.rest.model_copy(update={"username": "nightjar", "password": "wrong-secret"})
        queued = queue_deliveries(_with(context, wrong), "orthanc")["sr"]

        with pytest.raises(Retry, match="refuses our login") as raised:
            deliver.run(_with(context, wrong), queued.delivery_id)
        assert "secret" not in str(raised.value)

        right = server.rest.model_copy(update={"username": "nightjar", "password": "right"})
        deliver.run(_with(context, right), queued.delivery_id)

        assert _row(context, queued)["state"] == "delivered"
        assert len(httpx.get(f"{server.url}/instances", auth=("nightjar", "right"), timeout=20).json()) == 1


def test_an_orthanc_that_is_down_is_tried_again(context: Context) -> None:
    destination = Destination(name="orthanc", kind="orthanc", url=f"http://127.0.0.1:{free_ports(1)[0]}", timeout_s=2)
    context = _with(context, destination)
    queued = queue_deliveries(context, "orthanc")["seg"]

    with pytest.raises(Retry, match="nothing answers there"):
        deliver.run(context, queued.delivery_id)


def test_what_orthanc_cannot_read_is_rejected(context: Context, orthanc: Orthanc) -> None:  # noqa: F811
    context = _with(context, orthanc.rest)
    queued = queue_deliveries(context, "orthanc")["seg"]
    with context.pool.connection() as connection:
        connection.execute("UPDATE result SET digest = %s", [context.store.put(b"not DICOM")])

    with pytest.raises(Reject, match="HTTP 400"):
        deliver.run(context, queued.delivery_id)
