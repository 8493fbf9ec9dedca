"""Synthetic head CT with bleeds: for training the ICH model and for the demonstration studies.

The pictures look like head CT and their truth is exact, but they are drawn, not measured:
a score on them says nothing about patients.
"""

from models.synthesis.head import Acquisition, Bleed, BleedLabel, SyntheticHead, scan_anatomy, synthesize_head

__all__ = ["Acquisition", "Bleed", "BleedLabel", "SyntheticHead", "scan_anatomy", "synthesize_head"]
