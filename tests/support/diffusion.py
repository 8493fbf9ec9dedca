"""Small diffusion-weighted MR instances as scanners write them."""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from support.instances import ct


def diffusion(place: int, value: int, *, number: int, b_value: float | None, **changes: Any) -> Dataset:
    """One instance of constant value at a slice position; its b-value in the standard's attribute."""
    pixels = np.full((4, 4), value, np.int16)
    dataset = ct(
        place,
        size=4,
        SOPClassUID=MRImageStorage,
        Modality="MR",
        SOPInstanceUID=f"1.2.3.{number}",
        InstanceNumber=number,
        ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"],
        PixelData=pixels.tobytes(),
    )
    if b_value is not None:
        dataset.DiffusionBValue = b_value
    for keyword, changed in changes.items():
        setattr(dataset, keyword, changed)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
