"""Shared fixtures, and property tests that a busy machine cannot fail: hypothesis measures no time here."""

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["support.ledger"]

settings.register_profile("nightjar", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nightjar")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's tests come last: Playwright keeps an event loop running in this thread until the session ends."""
    items.sort(key=lambda item: "browser" in item.path.parts)
