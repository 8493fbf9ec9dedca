"""CT Image Storage as scanners write it (PS3.3 A.3): one data set a slice, from a volume in HU."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from models.volume import Volume
from services.demonstration.header import StudyHeader, new_object
from services.demonstration.localiser import Projection

AIR_HU = -1000


def ct_series(
    header: StudyHeader,
    volume: Volume,
    *,
    series_number: int,
    kernel: Literal["soft", "bone"],
    thickness_mm: float,
) -> Iterator[Dataset]:
    """The images of one axial reconstruction, in instance number order.

    Args:
        volume: HU, slices from inferior to superior.
    """
    scanner = header.plan.scanner
    slices = len(volume.voxels)
    rows, columns = volume.voxels.shape[1:]
    order = range(slices - 1, -1, -1) if scanner.descending else range(slices)
    outside = outside_circle(rows, columns)
    windows = scanner.windows if kernel == "soft" else ((500, 2500),)
    for number, k in enumerate(order, start=1):
        ds = new_object(
            header,
            sop_class_uid=CTImageStorage,
            modality="CT",
            series_number=series_number,
            description=scanner.descriptions[kernel],
            instance_number=number,
            delay_s=40.0 * series_number + 1.4 * number,
        )
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", *scanner.image_type]
        ds.AcquisitionNumber = number if scanner.numbers_acquisitions else 1
        if scanner.counts_images:
            ds.ImagesInAcquisition = slices
        _place(ds, header, volume.positions_mm[k], volume.row_direction, volume.column_direction)
        ds.SliceLocation = decimal(volume.positions_mm[k][2])
        ds.SliceThickness = decimal(thickness_mm)
        ds.PixelSpacing = [decimal(value) for value in volume.spacing_mm]
        ds.GantryDetectorTilt = decimal(header.plan.tilt_deg)
        ds.ConvolutionKernel = scanner.kernels[kernel]
        ds.ScanOptions = scanner.scan_options
        ds.TableHeight = decimal(-155.0)
        ds.RotationDirection = "CW"
        ds.ReconstructionDiameter = decimal(rows * volume.spacing_mm[0])
        ds.ExposureTime = 1000
        ds.XRayTubeCurrent = 220
        ds.Exposure = 220
        _expose(ds)
        _encode(ds, header, volume.voxels[k], outside, windows)
        ds.RescaleType = "HU"
        yield ds


def localiser(header: StudyHeader, projection: Projection, *, instance_number: int) -> Dataset:
    """One localiser image (series 1)."""
    scanner = header.plan.scanner
    ds = new_object(
        header,
        sop_class_uid=CTImageStorage,
        modality="CT",
        series_number=1,
        description=scanner.descriptions["localiser"],
        instance_number=instance_number,
        delay_s=6.0 * instance_number,
    )
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER", *scanner.image_type[:1]]
    ds.AcquisitionNumber = instance_number
    if scanner.counts_images:
        ds.ImagesInAcquisition = 1
    _place(ds, header, projection.position_mm, projection.row_direction, projection.column_direction)
    ds.SliceThickness = decimal(projection.spacing_mm)
    ds.PixelSpacing = [decimal(projection.spacing_mm)] * 2
    ds.GantryDetectorTilt = decimal(0.0)
    ds.ConvolutionKernel = scanner.kernels["soft"]
    ds.ScanOptions = "SCOUT MODE"
    ds.TableHeight = decimal(-155.0)
    ds.ExposureTime = 2600
    ds.XRayTubeCurrent = 20
    _expose(ds)
    _encode(ds, header, projection.image, np.zeros(projection.image.shape, np.bool_), ((-100, 900),))
    return ds


def outside_circle(rows: int, columns: int) -> NDArray[np.bool_]:
    """Pixels beyond the reconstruction circle, axes (row, column)."""
    row, column = np.ogrid[:rows, :columns]
    radius = min(rows, columns) / 2
    outside: NDArray[np.bool_] = (row - (rows - 1) / 2) ** 2 + (column - (columns - 1) / 2) ** 2 > radius**2
    return outside


def decimal(value: float) -> str:
    """A Decimal String: at most 16 characters (PS3.5 6.2), 1e-7 mm or finer for coordinates."""
    return f"{round(value, 7) + 0.0:.7f}".rstrip("0").rstrip(".")


def _place(
    ds: Dataset,
    header: StudyHeader,
    position_mm: NDArray[np.float64],
    row_direction: tuple[float, float, float],
    column_direction: tuple[float, float, float],
) -> None:
    ds.PatientPosition = "HFS"
    ds.BodyPartExamined = header.plan.scanner.body_part
    ds.FrameOfReferenceUID = header.frame_of_reference_uid
    ds.PositionReferenceIndicator = "OM" if header.plan.anatomy == "head" else "SN"
    ds.ImagePositionPatient = [decimal(float(value)) for value in position_mm]
    ds.ImageOrientationPatient = [decimal(value) for value in (*row_direction, *column_direction)]


def _expose(ds: Dataset) -> None:
    ds.AcquisitionDate, ds.AcquisitionTime = ds.ContentDate, ds.ContentTime
    ds.ProtocolName = ds.StudyDescription
    ds.KVP = "120"
    ds.DataCollectionDiameter = "250"
    ds.DistanceSourceToDetector = "949.075"
    ds.DistanceSourceToPatient = "541"
    ds.FilterType = "HEAD FILTER"
    ds.GeneratorPower = 26
    ds.FocalSpots = "0.7"


def _encode(
    ds: Dataset,
    header: StudyHeader,
    hounsfield: NDArray[np.float32],
    outside: NDArray[np.bool_],
    windows: tuple[tuple[int, int], ...],
) -> None:
    scanner = header.plan.scanner
    low, high = (-32768, 32767) if scanner.signed else (0, 2**scanner.bits_stored - 1)
    stored = np.clip(np.rint(hounsfield) - scanner.intercept, low, high)
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = hounsfield.shape
    ds.BitsAllocated = 16
    ds.BitsStored = scanner.bits_stored
    ds.HighBit = scanner.bits_stored - 1
    ds.PixelRepresentation = int(scanner.signed)
    if scanner.padding is None:
        stored[outside] = np.clip(AIR_HU - scanner.intercept, low, high)
    else:
        stored[outside] = scanner.padding
        ds.PixelPaddingValue = scanner.padding
    ds.WindowCenter = [str(centre) for centre, _ in windows]
    ds.WindowWidth = [str(width) for _, width in windows]
    ds.RescaleIntercept = str(scanner.intercept)
    ds.RescaleSlope = "1"
    ds.PixelData = stored.astype("<i2" if scanner.signed else "<u2").tobytes()
