"""Who runs a process."""

import getpass
import os

import pytest

from services.processes import user_name


def test_a_user_without_a_name_goes_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in our images, which run as 10001, whom no file there names."""
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    assert user_name() == getpass.getuser()
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert user_name() == "uid 54321"
