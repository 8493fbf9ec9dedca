"""Masks on awkward grids, and Segmentations as viewers write them."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid
from support.ct import tilted_ct

from models.dicom import read_series
from services.review.masks import Grid, grid_of

EVEN_MM = (5.0,) * 9
GEOMETRIES = {
    "tilted and uneven": {},
    "upright and even": {"tilt_deg": 0.0, "gaps_mm": EVEN_MM},
    "tilted and even": {"gaps_mm": EVEN_MM},
    "oblique": {"tilt_deg": 0.0, "gaps_mm": EVEN_MM, "turn_deg": 11.0},
    "rows reversed": {"tilt_deg": 0.0, "gaps_mm": EVEN_MM, "flipped": True},
}


def images(geometry: str = "tilted and uneven") -> tuple[Grid, list[Dataset]]:
    """A grid and the headers of its instances, in slice order."""
    datasets = tilted_ct(**GEOMETRIES[geometry])  # type: ignore[arg-type]
    volume = read_series(datasets)
    by_uid = {dataset.SOPInstanceUID: dataset for dataset in datasets}
    return grid_of(volume, datasets), [by_uid[uid] for uid in volume.sources]


def blobs(grid: Grid, values: Sequence[int] = (1, 3, 5), seed: int = 3) -> NDArray[np.uint8]:
    """Labels without any symmetry, so that a flip or a shift cannot go unseen."""
    random = np.random.default_rng(seed)
    labels = np.zeros(grid.shape, np.uint8)
    for n, value in enumerate(values):
        k, row, column = 1 + 3 * n, 8 + 11 * n, 30 - 7 * n
        labels[k : k + 3, row : row + 9, column : column + 13] = value * (random.random((3, 9, 13)) > 0.3)
    return labels


def viewer_segmentation(
    headers: Sequence[Dataset],
    pixels: NDArray[np.uint8],
    names: Sequence[str],
    *,
    is_map: bool = False,
    tracking: Sequence[str] = (),
    **changes: object,
) -> bytes:
    """Part 10 bytes of what a viewer saves: segments 1.. called `names`, every coded type a plain "Tissue"."""
    segmentation = Segmentation(
        source_images=list(headers),
        pixel_array=pixels,
        segmentation_type=SegmentationTypeValues.LABELMAP if is_map else SegmentationTypeValues.BINARY,
        segment_descriptions=[
            SegmentDescription(
                segment_number=number,
                segment_label=name,
                segmented_property_category=codes.SCT.Tissue,
                segmented_property_type=codes.SCT.Tissue,
                algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
                tracking_uid=tracking[number - 1] if tracking else None,
                tracking_id=f"finding {number}" if tracking else None,
            )
            for number, name in enumerate(names, start=1)
        ],
        series_instance_uid=generate_uid(),
        series_number=50,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        transfer_syntax_uid=RLELossless if is_map else ExplicitVRLittleEndian,
        manufacturer="Viewer",
        manufacturer_model_name="Viewer",
        software_versions="1",
        device_serial_number="1",
    )
    for keyword, value in changes.items():
        setattr(segmentation, keyword, value)
    buffer = BytesIO()
    dcmwrite(buffer, segmentation, enforce_file_format=True)
    return buffer.getvalue()


def as_a_viewer_reads(instances: Sequence[Dataset], sources: Sequence[str]) -> list[Dataset]:
    """Headers as a viewer's writer wants them, in the order of the slices.

    Args:
        sources: SOP Instance UIDs in that order.
    """
    by_uid = {str(header.SOPInstanceUID): header for header in instances}
    headers = [by_uid[uid] for uid in sources]
    for header in headers:
        header.PatientName = "Viewer^Written"
        for keyword in ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
            if keyword not in header:
                setattr(header, keyword, "")
        if "SliceThickness" not in header:
            header.SliceThickness = "5"
    return headers


def halve(headers: Sequence[Dataset]) -> list[Dataset]:
    """The same slices with pixels of twice the size: each covers four."""
    for header in headers:
        spacing = [float(value) for value in header.PixelSpacing]
        orientation = np.array(header.ImageOrientationPatient, float)
        corner = np.array(header.ImagePositionPatient, float)
        corner += orientation[:3] * spacing[1] / 2 + orientation[3:] * spacing[0] / 2
        header.ImagePositionPatient = [f"{value:.7g}" for value in corner]
        header.PixelSpacing = [f"{2 * value:.7g}" for value in spacing]
        header.Rows, header.Columns = header.Rows // 2, header.Columns // 2
        if "PixelData" in header:
            header.PixelData = header.PixelData[: header.Rows * header.Columns * 2]
    return list(headers)
