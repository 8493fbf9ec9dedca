"""A real Orthanc that is followed: everything new comes in once, whoever is away in between."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from support.deliveries import queue_deliveries
from support.instances import ct, data_set_of, write
from support.jobs import waiting
from support.orthanc import Orthanc, orthanc, orthanc_server, run_orthanc  # noqa: F401

from dicom_router.follow import ATTEMPTS, Follower, following
from dicom_router.orthanc import Change, OrthancClient, SourceAway, Unobtainable
from services.archive_settings import Source
from services.context import Context
from services.errors import NightjarError

Store = Callable[[Dataset], str]


@pytest.fixture
def context(context: Context) -> Context:
    router = context.settings.router.model_copy(update={"low_disk_mb": 0, "idle_s": 0.01})
    return replace(context, settings=context.settings.model_copy(update={"router": router}))


@pytest.fixture
def store(orthanc: Orthanc, tmp_path: Path) -> Store:  # noqa: F811
    """Upload an instance; Orthanc's identifier of it."""
    return lambda dataset: upload(orthanc, write(dataset, tmp_path / "sent.dcm").read_bytes())


def upload(server: Orthanc, file: bytes) -> str:
    answer = httpx.post(f"{server.url}/instances", content=file, timeout=20).raise_for_status().json()
    return str(answer["ID"])


def source(server: Orthanc, **values: Any) -> Source:
    return Source(name="archive", url=server.url, **values)


def read_all(follower: Follower) -> None:
    while follower.read():
        pass


def until(happened: Callable[[], bool]) -> None:
    while not happened():
        time.sleep(0.01)


def rows(context: Context, query: str) -> list[dict[str, Any]]:
    with context.pool.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def kept(context: Context) -> set[str]:
    return {row["sop_instance_uid"] for row in rows(context, "SELECT sop_instance_uid FROM instance")}


def test_what_is_new_comes_in_byte_for_byte(context: Context, orthanc: Orthanc, store: Store) -> None:  # noqa: F811
    store(ct(study=1))
    follower = Follower(context, source(orthanc))
    read_all(follower)
    assert kept(context) == set()  # it was there before
    identifiers = [store(ct(index, study=2)) for index in range(130)]
    assert follower.read()
    assert 60 < len(kept(context)) <= 100  # a page of changes, those of patient, study and series among them
    assert [row["peer"] for row in rows(context, "SELECT peer FROM association WHERE closed_at IS NULL")] == ["rest"]
    read_all(follower)
    assert kept(context) == {ct(index, study=2).SOPInstanceUID for index in range(130)}
    [instance] = rows(context, f"SELECT * FROM instance WHERE sop_instance_uid = '{ct(7, study=2).SOPInstanceUID}'")
    assert data_set_of(context.store.get(instance["digest"])) == data_set_of(orthanc.file(identifiers[7]))

    until(lambda: not follower.read() and rows(context, "SELECT 1 FROM association WHERE closed_at IS NULL") == [])
    [association] = rows(context, "SELECT * FROM association")
    assert (association["calling_ae"], association["stored"], association["ending"]) == ("archive", 130, "released")
    assert len(waiting(context, "assemble")) == 1


def test_the_whole_archive_comes_where_a_site_wants_it(context: Context, orthanc: Orthanc, store: Store) -> None:  # noqa: F811
    store(ct())
    read_all(Follower(context, source(orthanc, from_start=True)))
    assert kept(context) == {ct().SOPInstanceUID}


def test_nothing_is_missed_while_no_router_runs(context: Context, orthanc: Orthanc, store: Store) -> None:  # noqa: F811
    read_all(Follower(context, source(orthanc)))
    store(ct(0))
    with following(replace(context, settings=context.settings.model_copy(update={"sources": (source(orthanc),)}))):
        until(lambda: len(kept(context)) == 1)
        store(ct(1))
        until(lambda: len(kept(context)) == 2)
    assert rows(context, "SELECT id FROM association WHERE closed_at IS NULL") == []
    store(ct(2))
    read_all(Follower(context, source(orthanc)))
    assert [row["instances"] for row in rows(context, "SELECT instances FROM series")] == [3]


def test_other_modalities_and_our_own_results_stay_there(context: Context, orthanc: Orthanc, store: Store) -> None:  # noqa: F811
    follower = Follower(context, source(orthanc))
    read_all(follower)
    store(ct(0, series=1))
    store(ct(1, series=2, Modality="US"))
    upload(orthanc, queue_deliveries(context, "archive")["seg"].data)
    read_all(follower)
    assert kept(context) == {ct(0).SOPInstanceUID}


def test_one_router_at_a_time_reads_a_source(context: Context, orthanc: Orthanc, store: Store) -> None:  # noqa: F811
    one, other = Follower(context, source(orthanc)), Follower(context, source(orthanc))
    read_all(one)
    store(ct())
    with context.pool.connection() as connection:
        connection.execute("SELECT 1 FROM source_position FOR UPDATE")
        assert not other.read()
        assert kept(context) == set()
    read_all(other)
    assert kept(context) == {ct().SOPInstanceUID}


def test_what_is_deleted_does_no_harm(
    context: Context,
    orthanc: Orthanc,  # noqa: F811
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    follower = Follower(context, source(orthanc))
    read_all(follower)
    known = store(ct(0))
    read_all(follower)
    httpx.delete(f"{orthanc.url}/instances/{known}").raise_for_status()  # its changes are no longer listed
    read_all(follower)
    meanwhile = store(ct(1))
    store(ct(2))
    real = OrthancClient.changes

    def changes(client: OrthancClient, since: int) -> list[Change]:
        listed = real(client, since)
        httpx.delete(f"{orthanc.url}/instances/{meanwhile}")
        return listed

    monkeypatch.setattr(OrthancClient, "changes", changes)
    read_all(follower)
    assert kept(context) == {ct(0).SOPInstanceUID, ct(2).SOPInstanceUID}
    assert rows(context, "SELECT 1 FROM quarantine") == []


@pytest.mark.parametrize("trouble", [Unobtainable("it answers HTTP 500"), ValueError("Doe^Jane")])
def test_what_cannot_be_had_is_put_down_and_does_not_hold_up_the_rest(
    context: Context,
    orthanc: Orthanc,  # noqa: F811
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Exception,
) -> None:
    follower = Follower(context, source(orthanc))
    read_all(follower)
    _, damaged, _ = (store(ct(index)) for index in range(3))
    real = OrthancClient.file

    def file(client: OrthancClient, instance: str) -> bytes:
        if instance == damaged:
            raise trouble
        return real(client, instance)

    monkeypatch.setattr(OrthancClient, "file", file)
    for _ in range(ATTEMPTS - 1):
        with pytest.raises(type(trouble)):
            read_all(follower)
    assert ct(0).SOPInstanceUID in kept(context)
    read_all(follower)
    assert kept(context) == {ct(0).SOPInstanceUID, ct(2).SOPInstanceUID}
    [put_down] = rows(context, "SELECT * FROM quarantine")
    assert damaged in put_down["reason"]
    assert "Doe" not in put_down["reason"]
    assert put_down["digest"] is None


def test_a_disk_that_is_full_loses_nothing(context: Context, orthanc: Orthanc, store: Store) -> None:  # noqa: F811
    full = context.settings.router.model_copy(update={"low_disk_mb": 10**9})
    follower = Follower(
        replace(context, settings=context.settings.model_copy(update={"router": full})), source(orthanc)
    )
    read_all(follower)
    store(ct())
    for _ in range(ATTEMPTS + 1):
        with pytest.raises(NightjarError, match="low_disk_mb"):
            follower.read()
    read_all(Follower(context, source(orthanc)))
    assert kept(context) == {ct().SOPInstanceUID}
    assert rows(context, "SELECT 1 FROM quarantine") == []


def test_another_archive_under_the_same_name_is_read_from_the_beginning(
    context: Context,
    orthanc: Orthanc,  # noqa: F811
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(ct())
    for name, expected in (("", set()), ("one", set()), ("one", set()), ("other", {ct().SOPInstanceUID})):
        monkeypatch.setattr(OrthancClient, "archive", lambda _, name=name: name)  # Debian's is too old to say
        read_all(Follower(context, source(orthanc)))
        assert kept(context) == expected


def test_an_archive_set_up_anew_counts_from_one_again(context: Context, tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        with run_orthanc(tmp_path / str(number)) as server:
            read_all(follower := Follower(context, source(server)))
            upload(server, write(ct(number), tmp_path / "sent.dcm").read_bytes())
            read_all(follower)
    assert kept(context) == {ct(0).SOPInstanceUID, ct(1).SOPInstanceUID}


def test_an_archive_that_does_not_let_us_in(context: Context, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with run_orthanc(tmp_path, users={"nightjar": "right"}) as server:
        with pytest.raises(SourceAway, match="user name"):
            Follower(context, source(server, username="nightjar", password="wrong")).read()
        assert not Follower(context, source(server, username="nightjar", password="right")).read()
        gone = source(server)
    with following(replace(context, settings=context.settings.model_copy(update={"sources": (gone,)}))):
        until(lambda: "does not answer (ConnectError)" in caplog.text)
