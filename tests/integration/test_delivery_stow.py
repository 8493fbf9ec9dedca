"""Delivery by STOW-RS: to Nightjar's own DICOMweb, whose answers are the standard's, and to servers that say less."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.instances import ct, data_set_of, write
from support.notification_receivers import run_http
from support.triage import PASSWORD, add_account, served

from services.archive_settings import Destination
from services.context import Context
from services.delivery.stow import store
from services.delivery.verdicts import Verdict
from services.dicomweb.extension import EXTENSION
from services.ledger.accounts import Role

FILES = [("1.2.3", b"one"), ("1.2.4", b"two")]


def to(port: int, **values: Any) -> Destination:
    return Destination(name="archive", kind="stow", url=f"http://127.0.0.1:{port}/dicom-web/", timeout_s=5, **values)


def answer(**sequences: list[tuple[str, int | None]]) -> bytes:
    """A Store Instances Response of (SOP Instance UID, reason)."""
    tags = {"failed": ("00081198", "00081197"), "stored": ("00081199", "00081196")}
    return json.dumps(
        {
            tags[name][0]: {
                "vr": "SQ",
                "Value": [
                    {"00081155": {"vr": "UI", "Value": [uid]}}
                    | ({} if reason is None else {tags[name][1]: {"vr": "US", "Value": [reason]}})
                    for uid, reason in entries
                ],
            }
            for name, entries in sequences.items()
        }
    ).encode()


@pytest.mark.parametrize(
    ("status", "body", "verdicts"),
    [
        (200, answer(stored=[("1.2.3", None), ("1.2.4", 0xB000)]), ["stored", "stored"]),
        (202, answer(stored=[("1.2.3", None)], failed=[("1.2.4", 0xA700)]), ["stored", "retry"]),
        (202, answer(stored=[("1.2.3", None)], failed=[("1.2.4", None)]), ["stored", "retry"]),
        (409, answer(failed=[("1.2.3", 0xA900), ("1.2.4", 0x0111)]), ["reject", "stored"]),
        (200, answer(stored=[("1.2.3", None)]), ["stored", "retry"]),
        (200, b"", ["stored", "stored"]),
        (200, b"<NativeDicomModel/>", ["stored", "stored"]),
        (200, b"[]", ["stored", "stored"]),
        (200, b'{"00081199": {"Value": [7, {}]}}', ["retry", "retry"]),
        (202, b"", ["retry", "retry"]),
        (409, b"", ["reject", "reject"]),
        (401, b"", ["retry", "retry"]),
        (415, b"", ["reject", "reject"]),
        (503, b"", ["retry", "retry"]),
    ],
)
def test_what_an_answer_says_of_each_instance(status: int, body: bytes, verdicts: list[str]) -> None:
    with run_http(status, body) as server:
        outcomes = store(FILES, to(server.port))
    assert [(outcome.sop_instance_uid, outcome.verdict.value) for outcome in outcomes] == [
        (uid, verdict) for (uid, _), verdict in zip(FILES, verdicts, strict=True)
    ]
    assert all(outcome.reason for outcome in outcomes if outcome.verdict is not Verdict.STORED)


def test_nobody_there_and_no_answer_are_tried_again() -> None:
    with run_http(None) as server:
        silent = store(FILES, to(server.port).model_copy(update={"timeout_s": 0.2}))
    gone = store(FILES, to(server.port))
    assert {outcome.verdict for outcome in silent + gone} == {Verdict.RETRY}
    [never] = store(FILES[:1], to(1).model_copy(update={"url": "ftp://archive"}))
    assert never.verdict is Verdict.REJECT


def test_an_archive_keeps_what_it_can_and_names_what_it_cannot(context: Context, tmp_path: Path) -> None:
    router = context.settings.router.model_copy(update={"low_disk_mb": 0, "on_conflict": "refuse"})
    context = replace(context, settings=context.settings.model_copy(update={"router": router}))
    add_account(context, "nightjar", Role.SYSTEM)
    first, second, other = (write(ct(index), tmp_path / f"{index}.dcm").read_bytes() for index in range(3))
    changed = write(ct(2, PatientID="T2"), tmp_path / "changed.dcm").read_bytes()
    uids = [str(ct(index).SOPInstanceUID) for index in range(3)]
    with served(context, [EXTENSION]) as pages:
        archive = to(1, username="nightjar", password=PASSWORD).model_copy(update={"url": f"{pages.url}/dicom-web"})
        assert [outcome.verdict for outcome in store([(uids[2], other)], archive)] == [Verdict.STORED]
        outcomes = store(list(zip(uids, (first, second, changed), strict=True)), archive)
        again = store([(uids[0], first)], archive)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED, Verdict.STORED, Verdict.REJECT]
    assert "0xC001" in outcomes[2].reason
    assert [outcome.verdict for outcome in again] == [Verdict.STORED]
    with context.pool.connection() as connection:
        rows = connection.execute("SELECT digest FROM instance WHERE sop_instance_uid = %s", [uids[0]]).fetchall()
    assert [data_set_of(context.store.get(row["digest"])) for row in rows] == [data_set_of(first)]
