"""Intracranial haemorrhage on unenhanced head CT: five subtypes as voxels, volumes, and probabilities."""
