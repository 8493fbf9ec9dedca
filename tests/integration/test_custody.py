"""The ledger against DCMTK's PACS and against its own bytes; backup, loss, restore, and the PACS sending again."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import yaml
from pydicom.uid import ExplicitVRLittleEndian
from support.dcmqrscp import AE_TITLE, run_dcmqrscp
from support.deliveries import queue_deliveries
from support.instances import ct, encoded, write
from support.object_store import object_store_server, s3, s3_store  # noqa: F401
from support.ports import free_ports
from support.triage import add_analysis, finish_analysis, park_delivery, run_analysis
from typer.testing import CliRunner

from dicom_router.listener import Listener
from dicom_router.persist import persist
from services import cli
from services.archive_settings import ArchiveSettings
from services.context import Context
from services.errors import SettingsError
from services.ledger import custody
from services.ledger.database import Pool, open_pool
from services.ledger.intake import Sender
from services.operations import retention
from services.operations.archive import Archive, ArchiveError
from services.operations.backup import BackupError, back_up, restore
from services.operations.backup_places import Folder, open_place
from services.operations.reconcile import Difference, reconcile
from services.settings import BackupSettings
from services.storage_settings import S3Connection, S3Settings

TODAY = f"{datetime.now(UTC):%Y%m%d}"
HEAD, OTHER = "1.2.826.0.1.3680043.10.543.1", "1.2.826.0.1.3680043.10.543.2"


@pytest.fixture
def lone_site(context: Context, tmp_path: Path) -> Iterator[Context]:
    """DCMTK's PACS and a site of ours, each knowing the other; ten minutes from now, when all is quiet."""
    port, archive_port = free_ports(1)[0], free_ports(1)[0]
    archive = ArchiveSettings(
        ae_title=AE_TITLE, host="127.0.0.1", port=archive_port, modalities=("CT",), destination=None, timeout_s=20
    )
    router = context.settings.router.model_copy(update={"port": port, "low_disk_mb": 0})
    settings = context.settings.model_copy(update={"router": router, "archive": archive})
    context = replace(context, settings=settings)
    with run_dcmqrscp(tmp_path / "pacs", archive_port, knows=(router.ae_title, port)):
        yield replace(context, now=lambda: datetime.now(UTC) + timedelta(minutes=10))


@pytest.fixture
def site(lone_site: Context) -> Iterator[Context]:
    """The same, listening."""
    with _listening(lone_site):
        yield lone_site


@contextmanager
def _listening(context: Context) -> Iterator[None]:
    listener = Listener(replace(context, now=lambda: datetime.now(UTC)))
    listener.start()
    try:
        yield
    finally:
        listener.stop()


def _send(port: int, title: str, files: list[Path]) -> None:
    command = ["/usr/bin/storescu", "-aet", "SCANNER", "-aec", title, "127.0.0.1", str(port), *map(str, files)]
    subprocess.run(command, check=True, timeout=120, env=os.environ | {"TCP_NODELAY": "1"})


def _slices(folder: Path, study: int, count: int) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [write(ct(k, study=study, StudyDate=TODAY), folder / f"{study}-{k}.dcm") for k in range(count)]


def _archive(context: Context) -> Archive:
    assert context.settings.archive is not None
    return Archive(context.settings.archive, context.settings.router.ae_title)


def _compare(context: Context, *, pull: bool = False) -> dict[tuple[str, str], int]:
    """(kind, study) -> instances."""
    since = datetime.now(UTC) - timedelta(days=1)
    found = reconcile(context, _archive(context), since=since, pull=pull)
    return {(entry.kind, entry.study_uid): len(entry.instances) for entry in found.differences}


def test_what_the_pacs_has_and_we_do_not_is_named_and_fetched(site: Context, tmp_path: Path) -> None:
    head, other = _slices(tmp_path / "in", 1, 6), _slices(tmp_path / "in", 2, 3)
    assert site.settings.archive is not None
    _send(site.settings.archive.port, AE_TITLE, head + other)
    _send(site.settings.router.port, site.settings.router.ae_title, head[:4])

    expected = {("missing here", HEAD): 2, ("missing here", OTHER): 3, ("no end state", HEAD): 0}
    assert _compare(site) == expected
    assert _compare(site, pull=True) == expected
    assert _compare(site) == {("no end state", HEAD): 0, ("no end state", OTHER): 0}
    with site.pool.connection() as connection:
        rows = connection.execute("SELECT differences FROM reconciliation ORDER BY id").fetchall()
    assert [row["differences"] for row in rows] == [3, 3, 2]


def test_what_we_have_and_the_pacs_does_not_is_named(site: Context, tmp_path: Path) -> None:
    assert site.settings.archive is not None
    head = _slices(tmp_path / "in", 1, 3)
    _send(site.settings.archive.port, AE_TITLE, head[:2])
    _send(site.settings.router.port, site.settings.router.ae_title, head)
    queued = queue_deliveries(site, "pacs")
    with site.pool.connection() as connection:
        connection.execute("UPDATE study SET first_instance_at = now(), last_instance_at = now()")
        connection.execute("UPDATE delivery SET state = 'delivered' WHERE id = %s", [queued["sr"].delivery_id])
        connection.execute("UPDATE study SET state = 'parked'")
    archive = site.settings.archive.model_copy(update={"destination": "pacs"})
    site = replace(site, settings=site.settings.model_copy(update={"archive": archive}))

    found = reconcile(site, _archive(site), since=datetime.now(UTC) - timedelta(days=1))

    assert {entry.kind for entry in found.differences} == {"missing in the PACS", "result missing in the PACS"}
    assert [entry.instances for entry in found.differences if entry.kind == "missing in the PACS"] == [(f"{HEAD}.1.3",)]
    assert [entry.instances for entry in found.differences if entry.kind == "result missing in the PACS"] == [
        (queued["sr"].sop_instance_uid,)
    ]


def test_a_study_that_still_arrives_is_left_out(site: Context, tmp_path: Path) -> None:
    assert site.settings.archive is not None
    head = _slices(tmp_path / "in", 1, 3)
    _send(site.settings.archive.port, AE_TITLE, head)
    _send(site.settings.router.port, site.settings.router.ae_title, head[:1])
    site = replace(site, now=lambda: datetime.now(UTC))
    found = reconcile(site, _archive(site), since=datetime.now(UTC) - timedelta(days=1))
    assert (found.unsettled, found.differences) == (1, ())


def test_lost_bytes_are_found_without_a_pacs(site: Context, tmp_path: Path) -> None:
    _send(site.settings.router.port, site.settings.router.ae_title, _slices(tmp_path / "in", 1, 2))
    with site.pool.connection() as connection:
        connection.execute("UPDATE study SET state = 'parked'")
        row = connection.execute("SELECT digest, sop_instance_uid FROM instance LIMIT 1").fetchone()
    assert row is not None
    next(site.settings.store_path.glob(f"*/{row['digest']}")).unlink()
    found = reconcile(site, None, since=datetime.now(UTC) - timedelta(days=1))
    assert found.differences == (Difference("bytes missing", HEAD, "", (row["sop_instance_uid"],)),)


def test_a_pacs_that_does_not_answer_is_an_error_and_no_comparison(site: Context) -> None:
    assert site.settings.archive is not None
    nobody = Archive(site.settings.archive.model_copy(update={"port": free_ports(1)[0]}), "NIGHTJAR")
    with pytest.raises(ArchiveError, match="does not answer"):
        reconcile(site, nobody, since=datetime.now(UTC) - timedelta(days=1))
    with site.pool.connection() as connection:
        assert connection.execute("SELECT FROM reconciliation").fetchall() == []


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """A database without a ledger."""
    with psycopg.connect(postgres.replace("{}", "postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
        yield postgres.replace("{}", "restored")
        connection.execute("DROP DATABASE restored WITH (FORCE)")


def _instances(pool: Pool) -> list[str]:
    with pool.connection() as connection:
        rows = connection.execute("SELECT sop_instance_uid FROM instance ORDER BY 1").fetchall()
    return [row["sop_instance_uid"] for row in rows]


def test_disaster_drill(
    lone_site: Context,
    tmp_path: Path,
    empty_database: str,
    s3: S3Settings,  # noqa: F811
) -> None:
    """The machine and its bucket are lost: the last backup, then what came since from the PACS, and nothing differs."""
    site = replace(lone_site, store=s3_store(s3))
    assert site.settings.archive is not None
    head, other = _slices(tmp_path / "in", 1, 4), _slices(tmp_path / "in", 2, 2)
    title, port = site.settings.router.ae_title, site.settings.router.port
    _send(site.settings.archive.port, AE_TITLE, head + other)
    connection = S3Connection.model_validate(s3.model_dump(exclude={"bucket", "prefix"}))
    place = open_place(f"s3://{s3.bucket}/{s3.prefix}backup", BackupSettings(s3=connection), write=True)
    with _listening(site):
        _send(port, title, head[:3])
        first = back_up(site.settings.database_url, site.store, place)
        _send(port, title, head[3:])
        second = back_up(site.settings.database_url, site.store, place)
        _send(port, title, other)  # after the last backup: lost with the machine
    assert (first.objects, first.copied, second.objects, second.copied) == (3, 3, 4, 1)

    store = s3_store(s3.model_copy(update={"prefix": f"{s3.prefix}new/"}))
    assert restore(empty_database, store, place) == second
    pool = open_pool(empty_database)
    database = site.settings.database.model_copy(update={"url": empty_database})
    new = replace(site, settings=site.settings.model_copy(update={"database": database}), pool=pool, store=store)
    try:
        assert _instances(pool) == [f"{HEAD}.1.{k + 1}" for k in range(4)]
        with _listening(new):
            assert _compare(new, pull=True) == {
                ("missing here", OTHER): 2,
                ("no end state", HEAD): 0,
            }
        with pool.connection() as cursor:  # as the workers and models that do not run here would have ended them
            cursor.execute("UPDATE study SET state = 'parked'")
        assert _compare(new) == {}
        assert len(_instances(pool)) == 6
    finally:
        pool.close()


def test_until_a_backup_is_whole_the_one_before_is(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Folder(tmp_path / "backup")
    context.store.put(b"bytes")
    made = back_up(context.settings.database_url, context.store, place)
    with context.pool.connection() as connection:
        connection.execute("INSERT INTO account (name, password_hash, roles) VALUES ('ana', 'x', '{}')")
    write = Folder.write

    def full(folder: Folder, name: str, file: Path) -> None:
        if name == "backup.json":
            raise OSError(28, "No space left on device")
        write(folder, name, file)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write", full)
        with pytest.raises(OSError, match="No space"):
            back_up(context.settings.database_url, context.store, place)
    with place.local("backup.json") as manifest:
        assert json.loads(manifest.read_text())["dump_sha256"] == made.dump_sha256
    again = back_up(context.settings.database_url, context.store, place)
    names = {path.name for path in (tmp_path / "backup").iterdir()}
    assert names >= {"backup.json", "store", again.dump}
    assert made.dump not in names


def test_a_backup_that_is_not_whole_is_refused(context: Context, tmp_path: Path, empty_database: str) -> None:
    context.store.put(b"bytes")
    backup = tmp_path / "backup"
    place = Folder(backup)
    made = back_up(context.settings.database_url, context.store, place)
    with pytest.raises(BackupError, match="holds a ledger already"):
        restore(context.settings.database_url, context.store, place)
    dump = backup / made.dump
    dump.write_bytes(dump.read_bytes()[:-1])
    with pytest.raises(BackupError, match="SHA-256 differs"):
        restore(empty_database, context.store, place)
    for missing in (made.dump, "backup.json"):
        (backup / missing).unlink()
        with pytest.raises(BackupError, match=f"no whole backup: {missing} is missing"):
            restore(empty_database, context.store, place)


def test_without_a_ledger_there_is_nothing_to_back_up(empty_database: str, tmp_path: Path, context: Context) -> None:
    with pytest.raises(BackupError, match="no ledger yet"):
        back_up(empty_database, context.store, Folder(tmp_path / "backup"))
    assert not (tmp_path / "backup" / "backup.json").exists()


def _store_files(context: Context) -> int:
    return len(list(context.store.every_key()))


def test_retention_removes_what_is_old_delivered_and_in_nobodys_hands(context: Context) -> None:
    studies = [_ended_study(context, number, delivered=number != 2) for number in range(1, 5)]
    with context.pool.connection() as connection:
        connection.execute("UPDATE study SET last_instance_at = now() - interval '100 days'")
        connection.execute("UPDATE study SET last_instance_at = now() WHERE study_uid = %s", [studies[3]])
        connection.execute(
            "INSERT INTO workitem (study_uid, series_uid, task, cause) VALUES (%s, %s, 'ich', 'hand')",
            [studies[2], f"{studies[2]}.1"],
        )
    for path in context.settings.store_path.glob("??/*"):
        os.utime(path, (1e9, 1e9))
    held, before = _store_files(context), datetime.now(UTC) - timedelta(days=90)
    assert retention.count(context, before).studies == 1
    assert _store_files(context) == held
    done = retention.expire(context, before)
    assert done.studies == 1
    assert done.objects == 3, "two images and a result; what was drawn is the other studies' as well"
    assert _store_files(context) == held - 3
    with context.pool.connection() as connection:
        [row] = connection.execute("SELECT study_uid FROM study WHERE expired_at IS NOT NULL").fetchall()
        assert row["study_uid"] == studies[0]
        keys = {entry["study_uid"] for entry in custody.keys_since(connection, None)}
    assert keys == set(studies[1:]), "bytes that retention removed are not missing"
    assert reconcile(context, None, since=datetime.now(UTC) - timedelta(days=200)).differences == ()
    assert retention.expire(context, before).studies == 0


def test_the_command_counts_first_and_wants_to_know_how_old(context: Context, tmp_path: Path) -> None:
    _ended_study(context, 1)
    with context.pool.connection() as connection:
        connection.execute("UPDATE study SET last_instance_at = now() - interval '100 days'")
    config = tmp_path / "site.yaml"
    settings = {"data_dir": str(context.settings.data_dir), "database": {"url": context.settings.database_url}}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    program = CliRunner()
    asked = program.invoke(cli.app, ["expire", "--config", str(config)])
    assert isinstance(asked.exception, SettingsError)
    counted = program.invoke(cli.app, ["expire", "--older-than", "90d", "--dry-run", "--json", "--config", str(config)])
    assert json.loads(counted.stdout)["studies"] == 1
    config.write_text(yaml.safe_dump({**settings, "retention": {"images_days": 90}}), encoding="utf-8")
    done = program.invoke(cli.app, ["expire", "--config", str(config)])
    assert done.exit_code == 0
    assert "Studies expired: 1." in done.stdout


def test_a_study_that_comes_again_after_its_time_is_a_study_like_any_other(context: Context) -> None:
    study = _ended_study(context, 1)
    with context.pool.connection() as connection:
        connection.execute("UPDATE study SET last_instance_at = now() - interval '100 days'")
    for path in context.settings.store_path.glob("??/*"):
        os.utime(path, (1e9, 1e9))
    before = datetime.now(UTC) - timedelta(days=90)
    assert retention.expire(context, before).studies == 1
    sender = Sender(uuid4(), "SCANNER", "NIGHTJAR", "10.1.2.3:4")
    persist(context, encoded(ct(7, study=1)), ExplicitVRLittleEndian, sender)
    with context.pool.connection() as connection:
        [new] = custody.keys_since(connection, None)
        assert (new["study_uid"], context.store.holds(new["digest"])) == (study, True)


def _ended_study(context: Context, number: int, *, delivered: bool = True) -> str:
    """Two instances, an answer with a drawn mask that is alike for all, a result that was delivered."""
    sender = Sender(uuid4(), "SCANNER", "NIGHTJAR", "10.1.2.3:4")
    for index in range(2):
        persist(context, encoded(ct(index, study=number)), ExplicitVRLittleEndian, sender)
    study_uid = f"1.2.826.0.1.3680043.10.543.{number}"
    mask, picture, result = (context.store.put(data) for data in (b"mask", b"picture", f"result {number}".encode()))
    with context.pool.connection() as connection:
        analysis = add_analysis(connection, study_uid)
        run_analysis(connection, analysis)
        finish_analysis(connection, analysis, {"IPH": 3.0}, urgency=1)
        connection.execute(
            "UPDATE analysis SET segmentation_key = %s, preview_key = %s WHERE id = %s", [mask, picture, analysis]
        )
        park_delivery(connection, analysis, "pacs")
        connection.execute("UPDATE result SET digest = %s WHERE study_uid = %s", [result, study_uid])
        for state in ("pending", "delivered") if delivered else ():
            connection.execute(
                """UPDATE delivery SET state = %s
                   WHERE result_id = (SELECT id FROM result WHERE study_uid = %s)""",
                [state, study_uid],
            )
    return study_uid
