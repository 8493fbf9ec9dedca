"""Shared fixtures, and property tests that a busy machine cannot fail: hypothesis measures no time here.

Where `CI` is set, their examples are the same in every run, so that no change is refused for another one's bad draw;
everywhere else they are drawn anew.
"""

import os
import signal
import sys
from collections.abc import Iterator
from ctypes.util import find_library

import pytest
from hypothesis import HealthCheck, settings
from pynetdicom import _config

pytest_plugins = ["support.ledger"]

settings.register_profile(
    "nightjar",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("nightjar")

# Without a GPU NVIDIA's library is tested in a process of its own (`support.compiling`), and no other test loads it.
if find_library("cuda") is None:
    sys.modules["tensorrt_rtx"] = None  # type: ignore[assignment]

# A shell ignores Ctrl-C for what it runs in the background, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _storage_classes_as_they_were() -> Iterator[None]:
    """A listener has pynetdicom accept every storage class, in the whole process; the next test's peer must not."""
    before = _config.UNRESTRICTED_STORAGE_SERVICE
    yield
    _config.UNRESTRICTED_STORAGE_SERVICE = before


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's tests come last: Playwright keeps an event loop running in this thread until the session ends."""
    items.sort(key=lambda item: "browser" in item.path.parts)
