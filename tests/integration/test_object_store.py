"""Instance bytes in a real object store, and what is said and kept when it cannot be used."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.certificates import certify
from support.instances import ct, write
from support.object_store import (  # noqa: F401
    ACCESS_KEY,
    SECRET,
    object_store_server,
    run_object_store,
    s3,
    s3_settings,
    s3_store,
)
from support.ports import free_ports

from dicom_router.listener import Listener
from services.context import Context
from services.errors import SettingsError, StoreAway
from services.operations.reconcile import Difference, reconcile
from services.operations.status import collect_status
from services.settings import Settings
from services.storage import LocalStore, Store, open_store
from services.storage_settings import S3Settings


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, s3: S3Settings) -> Store:  # noqa: F811
    """The same suite over both kinds."""
    return LocalStore(tmp_path / "store") if request.param == "folder" else s3_store(s3)


def test_bytes_come_back_and_the_first_ones_stay(store: Store) -> None:
    keys = [store.put(bytes([number]) * 1000) for number in range(5)]
    assert store.put(b"other bytes", keys[0]) == keys[0]
    assert [store.get(key) for key in keys] == [bytes([number]) * 1000 for number in range(5)]
    assert list(store.every_key()) == sorted(keys)
    with store.open(keys[1]) as file:
        file.seek(990)
        assert file.read() == b"\x01" * 10


def test_what_is_absent_or_no_key(store: Store) -> None:
    assert not store.holds("0" * 64)
    for look in (store.get, store.open):
        with pytest.raises(KeyError):
            look("0" * 64)
    with pytest.raises(ValueError, match="hex digits"):
        store.get("../../etc/passwd")


def test_only_what_was_not_brought_since_is_discarded(store: Store) -> None:
    key = store.put(b"pixels")
    assert not store.discard(key, datetime.now(UTC) - timedelta(days=1))
    assert store.get(key) == b"pixels"
    assert store.discard(key, datetime.now(UTC) + timedelta(days=1))
    assert not store.discard(key, datetime.now(UTC) + timedelta(days=1))
    assert (store.holds(key), list(store.every_key())) == (False, [])


def test_a_folder_copied_into_the_bucket_is_the_same_store(tmp_path: Path) -> None:
    keys = sorted(LocalStore(tmp_path / "nightjar" / "store").put(data) for data in (b"one", b"two"))
    with run_object_store(tmp_path) as port:
        store = s3_store(s3_settings(port))
        assert (list(store.every_key()), {store.get(key) for key in keys}) == (keys, {b"one", b"two"})


def _opened(s3: S3Settings) -> str:  # noqa: F811
    """What opening the store says."""
    with pytest.raises((SettingsError, StoreAway)) as caught:
        open_store(Settings.model_validate({"storage": {"s3": s3.model_dump()}}))
    return f"{type(caught.value).__name__}: {caught.value}"


def test_each_trouble_has_its_sentence(s3: S3Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # noqa: F811
    place = f"s3://nightjar at {s3.endpoint}"
    assert _opened(s3.model_copy(update={"secret": "wrong"})) == (
        f"SettingsError: {place} refuses the access key or its secret (SignatureDoesNotMatch). Set "
        "storage.s3.access_key and .secret."
    )
    assert "(InvalidAccessKeyId)" in _opened(s3.model_copy(update={"access_key": "NOBODY"}))
    assert _opened(s3.model_copy(update={"bucket": "absent"})) == (
        f"SettingsError: s3://absent at {s3.endpoint}: there is no such bucket. Make it, or name another."
    )
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert _opened(s3.model_copy(update={"endpoint": nobody})) == (
        f"StoreAway: s3://nightjar at {nobody} does not answer (EndpointConnectionError)."
    )
    missing = tmp_path / "authorities.pem"
    assert _opened(s3.model_copy(update={"authorities": missing})) == (
        f"SettingsError: storage.s3.authorities = {missing}: there is no such file."
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    unnamed = s3.model_copy(update={"access_key": None, "secret": None})
    assert "SettingsError: storage.s3: no access key is known." in _opened(unnamed)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    open_store(Settings.model_validate({"storage": {"s3": unnamed.model_dump()}}))


def test_who_answers_too_slowly_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never says a word
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        said = _opened(s3_settings(1, endpoint=address, timeout_s=0.2))
    assert said == f"StoreAway: s3://nightjar at {address} did not answer within 0.2 s."


def test_a_certificate_of_the_hospitals_own_authority(tmp_path: Path) -> None:
    certificate, key = certify(tmp_path, "store")
    with run_object_store(tmp_path / "store", options=("--cert", str(certificate), "--key", str(key))) as port:
        address = f"https://127.0.0.1:{port}"
        assert "storage.s3.authorities" in _opened(s3_settings(port, endpoint=address))
        trusting = s3_settings(port, endpoint=address, authorities=certificate)
        store = open_store(Settings.model_validate({"storage": {"s3": trusting.model_dump()}}))
        assert store.get(store.put(b"pixels")) == b"pixels"


@contextmanager
def _listening(context: Context) -> Iterator[Listener]:
    listener = Listener(context)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


def _send(port: int, files: list[Path]) -> list[str]:
    """DCMTK's words for the answer to each C-STORE."""
    command = ["/usr/bin/storescu", "--verbose", "--no-halt", "-aec", "NIGHTJAR", "127.0.0.1", str(port)]
    sent = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False, timeout=200)
    return re.findall(r"Received Store Response \((.*)\)", sent.stdout + sent.stderr)


def test_no_success_while_the_store_is_away_and_nothing_is_lost(context: Context, tmp_path: Path) -> None:
    """The sender keeps what was refused and sends it again; what was acknowledged is in the bucket."""
    port, dicom = free_ports(2)
    files = [write(ct(index), tmp_path / f"{index}.dcm") for index in range(4)]
    router = context.settings.router.model_copy(update={"port": dicom})
    settings = context.settings.model_copy(update={"router": router})
    context = replace(context, settings=settings, store=s3_store(s3_settings(port, timeout_s=2)))
    with _listening(context):
        with run_object_store(tmp_path / "objects", port=port):
            assert _send(dicom, files[:2]) == ["Success"] * 2
        assert _send(dicom, files[2:]) == ["Refused: OutOfResources"] * 2
        with context.pool.connection() as connection:
            assert len(connection.execute("SELECT FROM instance").fetchall()) == 2
            assert connection.execute("SELECT FROM quarantine").fetchall() == []
        with run_object_store(tmp_path / "objects", port=port):
            assert _send(dicom, files) == ["Success"] * 4
            with context.pool.connection() as connection:
                connection.execute("UPDATE study SET state = 'parked'")
                digests = [row["digest"] for row in connection.execute("SELECT digest FROM instance ORDER BY digest")]
            assert list(context.store.every_key()) == digests
            assert len(digests) == 4
            since = datetime.now(UTC) - timedelta(days=1)
            assert reconcile(context, None, since=since).differences == ()
            context.store.discard(digests[0], datetime.now(UTC) + timedelta(days=1))
            [lost] = reconcile(context, None, since=since).differences
            assert (lost.kind, len(lost.instances)) == ("bytes missing", 1)
            assert isinstance(lost, Difference)
            assert collect_status(context).disk_free_mb is None
