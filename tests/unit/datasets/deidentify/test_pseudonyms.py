"""Stand-ins belong to a key: the same again with it, unrelated without it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from services.datasets.deidentify.pseudonyms import Pseudonyms, read_key, write_key
from services.errors import SettingsError

ONE, OTHER = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


@given(st.text(), st.text())
def test_the_same_key_gives_the_same_and_another_one_something_else(first: str, second: str) -> None:
    assert ONE.patient(first) == Pseudonyms(b"1" * 32).patient(first)
    assert ONE.patient(first) != OTHER.patient(first)
    assert (ONE.uid(first) == ONE.uid(second)) == (first == second)
    assert UID(ONE.uid(first)).is_valid
    assert 364 <= ONE.shift(first).days <= 3640
    assert 0 <= ONE.share("split", first) < 1


def test_a_key_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deid.key"
    made = write_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path).fingerprint == made.fingerprint
    with pytest.raises(SettingsError, match="is there already"):
        write_key(path)
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_key(path)


def test_a_missing_or_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nightjar dataset key"):
        read_key(None)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_key(tmp_path / "none")
    (tmp_path / "short").write_bytes(b"12345")
    (tmp_path / "short").chmod(0o600)
    with pytest.raises(SettingsError, match="has 5 bytes"):
        read_key(tmp_path / "short")
