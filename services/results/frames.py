"""Slices that share an image, frames of an enhanced one (PS3.3 C.7.6.16) or of a mosaic: a header of its own for each.

Encoders work slice by slice, on headers as a classic series has them. So such a slice gets a copy of its image's header
with its own place in it and its number beside; what is written refers to the image and the frame. A mosaic has no
frames: what is written of its slices refers to it as a whole, and where they lie tells them apart.
"""

from collections.abc import Iterable, Sequence

from highdicom.seg import Segmentation
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import DSfloat

from models.functional_groups import classic_mr, in_frame, is_enhanced
from models.volume import Volume
from services.results.sources import FRAME, TILE, copy_of, for_writer, prepare_header, replace_in, with_thickness
from services.results.uids import derive_uid


def frame_of(source: Dataset) -> int | None:
    """Number of the frame, from 1, that a header of `slice_headers` is of; None where its image has no frames."""
    number = source.get(FRAME)
    return None if number is None else int(number)


def tile_of(source: Dataset) -> int | None:
    """Likewise of the slice of a mosaic, row by row."""
    number = source.get(TILE)
    return None if number is None else int(number)


def part_of(source: Dataset) -> int | None:
    """Number of the slice in an image that holds several, of whichever kind; None where its image is one slice."""
    number = frame_of(source)
    return tile_of(source) if number is None else number


def slice_headers(instances: Sequence[Dataset], volume: Volume) -> tuple[Dataset, ...]:
    """A header for every slice of a volume, in their order.

    Args:
        instances: what the volume was read from, classic or enhanced, in any order.
    """
    images = {str(instance.SOPInstanceUID): instance for instance in instances}
    headers = {uid: prepare_header(image) for uid, image in images.items()}
    slices = []
    for index, (uid, number) in enumerate(zip(volume.sources, volume.frames, strict=True)):
        header = headers[uid]
        slices.append(header if number is None else _slice_header(header, images[uid], number, volume, index))
    return with_thickness(slices)


def _slice_header(image_header: Dataset, image: Dataset, number: int, volume: Volume, index: int) -> Dataset:
    header = copy_of(image_header)
    enhanced = is_enhanced(image)
    if enhanced and image.get("Modality") == "MR":
        header.update(classic_mr(image, number))
    for keyword, values in (
        ("ImagePositionPatient", volume.positions_mm[index]),
        ("ImageOrientationPatient", (*volume.row_direction, *volume.column_direction)),
        ("PixelSpacing", volume.spacing_mm),
    ):
        replace_in(header, keyword, [DSfloat(float(value), auto_format=True) for value in values])
    for keyword, size in zip(("Rows", "Columns"), volume.voxels.shape[1:], strict=True):
        replace_in(header, keyword, size)
    measures = in_frame(image, number, "PixelMeasuresSequence") if enhanced else image
    if measures.get("SliceThickness"):
        replace_in(header, "SliceThickness", DSfloat(measures.SliceThickness))
    replace_in(header, FRAME if enhanced else TILE, number)
    return header


def each_once(headers: Iterable[Dataset]) -> list[Dataset]:
    """The headers without further slices of an image that is there already."""
    images: dict[str, Dataset] = {}
    for header in headers:
        images.setdefault(str(header.SOPInstanceUID), header)
    return list(images.values())


def refer(item: Dataset, source: Dataset) -> None:
    """Make an item refer to a slice: its image and, where that has several, the frame (PS3.3 10.3)."""
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    number = frame_of(source)
    if number is not None:
        setattr(item, FRAME, number)


def stand_ins(sources: Sequence[Dataset]) -> list[Dataset]:
    """`for_writer`, with a classic image standing in for every frame or tile; `point_back` takes them out again.

    highdicom takes a multi-frame image whole, all frames in their own order, and of several images none.
    """
    images = for_writer(sources)
    for image in images:
        if part_of(image) is not None:
            uid = _stand_in(image)
            replace_in(image, "SOPClassUID", CTImageStorage)
            replace_in(image, "SOPInstanceUID", uid)
    return images


def point_back(segmentation: Segmentation, sources: Sequence[Dataset]) -> None:
    """Make every reference to a stand-in one to the slice it stood for, and list each image once."""
    stood_for = {_stand_in(source): source for source in sources if part_of(source) is not None}
    if not stood_for:
        return
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        for derivation in frame.DerivationImageSequence:
            for item in derivation.SourceImageSequence:
                source = stood_for.get(str(item.ReferencedSOPInstanceUID))
                if source is not None:
                    refer(item, source)
    images = []
    for source in each_once(sources):
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
        images.append(image)
    segmentation.SourceImageSequence = images
    segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence = images


def _stand_in(source: Dataset) -> str:
    return derive_uid("stand-in", str(source.SOPInstanceUID), str(part_of(source)))
