"""Datasets of others: a BIDS or ISLES'24 tree read, for evaluation or as workitems.

tree -> cases (images by role, the mask, clinical data) -> folders for `nightjar evaluate`, or DICOM through intake
"""
