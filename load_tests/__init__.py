"""Measurements: figures and ratios taken in one run, never asserted."""
