"""Correction: from an answer to a label with names on it."""
