"""Releases: what experts accepted, de-identified, as a BIDS dataset with the provenance of every mask.

accepted labels -> cases (de-identified images, mask on their grid) or held -> BIDS tree -> rename
"""
