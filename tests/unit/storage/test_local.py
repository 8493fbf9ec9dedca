import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.errors import SettingsError
from services.storage import LocalStore


def test_bytes_come_back_under_their_digest(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "a" / "store")
    key = store.put(b"pixels")
    assert key == hashlib.sha256(b"pixels").hexdigest()
    assert store.get(key) == b"pixels"
    assert store.free_bytes() > 0


def test_a_present_key_is_kept_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = "ab" * 32
    assert store.put(b"first", key) == store.put(b"second", key) == key
    assert store.get(key) == b"first"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [key]


def test_bytes_and_directory_are_synced_before_put_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    synced: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    key = store.put(b"x")
    assert len(synced) == 2
    assert key in synced[0]
    assert synced[1] == key[:2]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.put(b"x")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_only_digests_are_keys(tmp_path: Path, key: str) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(ValueError, match="hex digits"):
        store.get(key)


def test_an_unknown_key(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        LocalStore(tmp_path).get("0" * 64)


def test_an_unusable_directory_names_setting_and_value(tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_bytes(b"")
    with pytest.raises(SettingsError, match=r"storage\.path = .*occupied"):
        LocalStore(occupied)


def test_old_bytes_are_discarded_and_those_that_came_again_stay(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    old, again = store.put(b"old"), store.put(b"again")
    for key in (old, again):
        os.utime(tmp_path / key[:2] / key, (1e9, 1e9))
    moment = datetime.fromtimestamp(1.5e9, UTC)
    store.put(b"again")
    assert [store.discard(key, moment) for key in (old, again, "0" * 64)] == [True, False, False]
    assert (store.holds(old), store.get(again), list(store.every_key())) == (False, b"again", [again])
