"""The output gate for derived series: each instance read back from its bytes and held against source and answer."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from services.errors import Reject
from services.results.answer import Answer
from services.results.frames import frame_of, part_of
from services.results.gate import check_common, require
from services.results.series import TITLE, stored_values

_GEOMETRY = (
    "FrameOfReferenceUID",
    "ImageOrientationPatient",
    "ImagePositionPatient",
)
_ENCODING = ("BitsAllocated", "BitsStored", "PixelRepresentation", "PhotometricInterpretation", "RescaleSlope")


def check_series(answer: Answer, instances: Sequence[bytes]) -> None:
    """Let the series pass, or say why not.

    Args:
        instances: Part 10 bytes, in the order of the source images.

    Raises:
        Reject: an instance is not what the answer says, or not a valid MR image; nothing may be delivered.
    """
    require(len(instances) == len(answer.sources), "the enhanced series has another number of images than its source")
    try:
        for index, data in enumerate(instances):
            _check(answer, index, dcmread(BytesIO(data)))
    except Reject:
        raise
    except Exception as error:  # whatever a reader stumbles over, a PACS would stumble over too
        raise Reject(
            f"The output gate stopped the result: an image could not be read back ({type(error).__name__})."
        ) from error


def _check(answer: Answer, index: int, dataset: Dataset) -> None:
    source = answer.sources[index]
    uids = answer.uids
    instance_uid = uids.enhanced_instance(source.SOPInstanceUID, answer.finer, part_of(source))
    check_common(answer, dataset, MRImageStorage, instance_uid, uids.enhanced_series(answer.finer), notice=TITLE)
    require(list(dataset.ImageType[:2]) == ["DERIVED", "SECONDARY"], "an image does not say that it is derived")
    require(dataset.BurnedInAnnotation == "NO", "an image does not say that nothing is written into its pixels")
    references = [(item.ReferencedSOPInstanceUID, frame_of(item)) for item in dataset.SourceImageSequence]
    require(
        references == [(source.SOPInstanceUID, frame_of(source))], "an image does not refer to the one it was made from"
    )
    for keyword in (*_GEOMETRY, *_ENCODING):
        require(dataset.get(keyword) == source.get(keyword), f"an image's {keyword} is not that of its source")
    for keyword in ("Rows", "Columns"):
        require(
            dataset[keyword].value == answer.finer * source[keyword].value, f"an image has another number of {keyword}"
        )
    spacing = np.array(dataset.PixelSpacing, float) * answer.finer
    require(np.allclose(spacing, np.array(source.PixelSpacing, float)), "an image's PixelSpacing is another")
    if answer.image is None:
        raise Reject("The output gate stopped the result: there is no image to compare it with.")
    same = np.array_equal(dataset.pixel_array, stored_values(source, answer.image[index], answer.finer))
    require(same, "an image's pixels are not the model's")
