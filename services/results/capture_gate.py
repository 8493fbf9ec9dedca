"""The output gate for secondary captures: read back from their bytes and held against the answer."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from models.volume import Volume
from services.errors import Reject
from services.results.answer import Answer
from services.results.drawing import draw, key_slices
from services.results.frames import frame_of
from services.results.gate import check_common, require


def check_captures(answer: Answer, volume: Volume, captures: Sequence[bytes]) -> None:
    """Let the pictures pass, or say why not.

    Args:
        captures: Part 10 bytes, in the order of the key slices.

    Raises:
        Reject: one is not what the answer says, or not a valid Secondary Capture; nothing may be delivered.
    """
    indices = key_slices(answer)
    require(len(captures) == len(indices), "there is another number of captures than of key slices")
    try:
        for index, data in zip(indices, captures, strict=True):
            _check(answer, volume, index, dcmread(BytesIO(data)))
    except Reject:
        raise
    except Exception as error:
        raise Reject(
            f"The output gate stopped the result: a capture could not be read back ({type(error).__name__})."
        ) from error


def _check(answer: Answer, volume: Volume, index: int, dataset: Dataset) -> None:
    check_common(
        answer, dataset, SecondaryCaptureImageStorage, answer.uids.capture_instance(index), answer.uids.capture_series()
    )
    require(dataset.BurnedInAnnotation == "YES", "a capture does not say that it has text in its pixels")
    source = answer.sources[index]
    references = [(item.ReferencedSOPInstanceUID, frame_of(item)) for item in dataset.SourceImageSequence]
    same = references == [(source.SOPInstanceUID, frame_of(source))]
    require(same, "a capture does not refer to the slice it shows")
    require(
        np.array_equal(dataset.pixel_array, draw(answer, volume, index)), "a capture's pixels are not what was drawn"
    )
