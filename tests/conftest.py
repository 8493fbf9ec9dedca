"""Shared fixtures, and property tests that a busy machine cannot fail: hypothesis measures no time here."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["support.ledger"]

settings.register_profile("nightjar", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nightjar")
