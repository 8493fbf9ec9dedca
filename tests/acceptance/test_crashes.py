"""kill -9 of the worker anywhere between two stages: after a restart the same results, once."""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
import yaml
from pydicom.uid import ExplicitVRLittleEndian
from support.heads import head_instances, small_head
from support.instances import encoded
from support.object_store import object_store_server, s3, s3_store  # noqa: F401
from support.storescp import run_storescp

from dicom_router.persist import persist
from services.context import Context
from services.ledger.database import connect
from services.ledger.intake import Sender, close_association, open_association
from services.storage_settings import S3Settings

WORKER = Path(__file__).parents[1] / "support" / "mortal_worker.py"
PATIENCE_S = 240

CRASHES = [
    (task, moment)
    for task in ("assemble", "route", "infer", "encode", "deliver")
    for moment in ("start", "commit1", "commit2", "end")
    # These stages commit once.
    if not (moment == "commit2" and task in ("assemble", "route"))
]


@contextmanager
def worker(settings: Path, *crash: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, WORKER, settings, *crash], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def receive(context: Context, study: int = 1) -> str:
    """A head with a large bleed, as the listener would leave it after a released association."""
    sender = Sender(uuid.uuid4(), "SCANNER", "NIGHTJAR", "127.0.0.1:1")
    with context.pool.connection() as connection:
        open_association(connection, sender, datetime.now(UTC))
    instances = head_instances(small_head(("IPH", 60.0)), study=study)
    for instance in instances:
        persist(context, encoded(instance), ExplicitVRLittleEndian, sender)
    with context.pool.connection() as connection:
        close_association(connection, sender.association_id, "released", datetime.now(UTC))
    return str(instances[0].StudyInstanceUID)


def wait_for_end(url: str, study_uid: str) -> dict[str, Any]:
    """The study and its deliveries once nothing is left to do."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with connect(url) as connection:
            study = connection.execute("SELECT * FROM study WHERE study_uid = %s", [study_uid]).fetchone()
            deliveries = connection.execute("SELECT state, attempts FROM delivery").fetchall()
            encoded_at = connection.execute("SELECT encoded_at FROM analysis").fetchall()
            jobs = connection.execute("SELECT task_name, status::text FROM procrastinate_jobs").fetchall()
        assert study is not None
        done = study["state"] in ("analysed", "failed", "parked", "not_applicable") and not jobs
        if done and all(row["encoded_at"] for row in encoded_at) and all(d["state"] == "delivered" for d in deliveries):
            return {"study": study, "deliveries": deliveries}
        time.sleep(0.2)
    raise AssertionError(f"{study['state']}: {study['reason']}; {deliveries}; {jobs}")


def results(url: str) -> list[dict[str, Any]]:
    with connect(url) as connection:
        return connection.execute("SELECT kind, sop_instance_uid, digest FROM result ORDER BY kind").fetchall()


def settings_file(tmp_path: Path, url: str, port: int, **more: Any) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "data_dir": str(tmp_path / "data"),
                "database": {"url": url},
                "worker": {"stalled_s": 1.5, "heartbeat_s": 0.3},
                "destinations": [
                    {"name": "pacs", "kind": "dicom", "ae_title": "PACS", "host": "127.0.0.1", "port": port}
                ],
                **more,
            }
        ),
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, set[str]]:
    """Result UIDs by study, as runs without their crash gave them; they must never differ between runs."""
    return {}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("task", "moment"), CRASHES)
def test_a_killed_worker_leaves_no_trace(
    task: str, moment: str, context: Context, database_url: str, tmp_path: Path, undisturbed: dict[str, set[str]]
) -> None:
    received = tmp_path / "received"
    received.mkdir()
    with run_storescp(received) as port:
        settings = settings_file(tmp_path, database_url, port)
        study_uid = receive(context)
        with worker(settings, task, moment) as doomed:
            assert doomed.wait(PATIENCE_S) == -9, doomed.stderr and doomed.stderr.read()
        with worker(settings):
            ended = wait_for_end(database_url, study_uid)
    assert ended["study"]["state"] == "analysed"
    rows = results(database_url)
    assert [row["kind"] for row in rows] == ["seg", "sr"]
    assert len(ended["deliveries"]) == 2
    files = [pydicom.dcmread(path, stop_before_pixels=True) for path in received.iterdir()]
    assert sorted(ds.SOPInstanceUID for ds in files) == sorted(row["sop_instance_uid"] for row in rows)
    uids = {row["sop_instance_uid"] for row in rows}
    assert undisturbed.setdefault(study_uid, uids) == uids
    with connect(database_url) as connection:
        flags = connection.execute(
            "SELECT count(*) AS n FROM event WHERE entity = 'analysis' AND detail ->> 'to' = 'analysed'"
        ).fetchone()
    assert flags == {"n": 1}


def test_with_a_bucket_everything_goes_through_it(
    context: Context,
    database_url: str,
    tmp_path: Path,
    s3: S3Settings,  # noqa: F811
) -> None:
    """From the first instance to the PACS, with nothing on this machine's disk."""
    received = tmp_path / "received"
    received.mkdir()
    bucket = {"storage": {"s3": s3.model_dump(mode="json")}}
    with run_storescp(received) as port:
        settings = settings_file(tmp_path, database_url, port, **bucket)
        study_uid = receive(replace(context, store=s3_store(s3)))
        with worker(settings):
            ended = wait_for_end(database_url, study_uid)
    assert ended["study"]["state"] == "analysed"
    rows = results(database_url)
    files = [pydicom.dcmread(path, stop_before_pixels=True) for path in received.iterdir()]
    assert sorted(ds.SOPInstanceUID for ds in files) == sorted(row["sop_instance_uid"] for row in rows)
    kept = s3_store(s3)
    assert all(kept.holds(row["digest"]) for row in rows)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
