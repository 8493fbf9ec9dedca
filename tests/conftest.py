"""Shared fixtures."""

pytest_plugins = ["support.ledger"]
