"""MR Image Storage as scanners write it (PS3.3 A.4): a stroke protocol (DWI, ADC, FLAIR), and one for tumours."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from models.ais.train.lesions import Infarct
from models.ais.train.scanner import DiffusionSequence, Grid
from models.ais.train.studies import Study, make_study
from models.synthesis.anatomy import draw_head
from models.synthesis.space import Space
from models.tumour.train.studies import Study as TumourStudy
from models.tumour.train.studies import crop, draw_patient, scan_apart
from models.tumour.train.tissue import Contrast
from models.tumour.train.tumours import Tumour
from models.volume import Volume
from services.demonstration.ct import decimal
from services.demonstration.header import StudyHeader, new_object

DWI, ADC, FLAIR = 2, 3, 4
"""Series numbers of a stroke protocol."""

TUMOUR_SERIES = {"T1": 2, "T2": 3, "FLAIR": 4, "T1c": 5}
"""Series numbers of a tumour protocol."""

MATRIX = 128
FIELD_OF_VIEW_MM = 230.0
SEQUENCE = DiffusionSequence()
TUMOUR_MATRIX = 224
CONTRASTS = {
    "T1": Contrast("spin echo", 12, 550, fat=5),
    "T2": Contrast("T2", 100, 5200, fat=6),
    "FLAIR": Contrast("FLAIR", 110, 9000, 2500, fat=6),
    "T1c": Contrast("spin echo", 12, 550, fat=5),
}
MOVEMENT_MM = 1.0
"""Of the patient, between the sequences of a tumour protocol."""


@dataclass(frozen=True)
class Series:
    """What all images of a series share.

    Attributes:
        phase_lines: lines acquired along the rows of an image, of as many as it has columns; None: nothing is said.
        agent: contrast agent that was given.
    """

    number: int
    kind: str
    image_type: tuple[str, ...]
    sequence: tuple[str, ...]
    repetition_ms: float
    echo_ms: float
    inversion_ms: float | None = None
    slope: float = 1.0
    phase_lines: int | None = None
    agent: str = ""


def synthesize_stroke(infarcts: list[Infarct], seed: int, *, rotation_deg: tuple[float, float, float]) -> Study:
    """A head drawn from formulas in an MR scanner, with infarcts in it; the same arguments give the same study."""
    anatomy, rest = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    space = Space.of(draw_head(anatomy))
    grid = Grid(rows=MATRIX, columns=MATRIX, spacing_mm=FIELD_OF_VIEW_MM / MATRIX, rotation_deg=rotation_deg)
    return make_study(space, infarcts, ["leukoaraiosis"], grid, SEQUENCE, rest)


def mr_series(header: StudyHeader, study: Study) -> Iterator[Dataset]:
    """Every image of the study: b0 and the trace in one series, the ADC map, the FLAIR."""
    scanned = study.scan
    diffusion = Series(DWI, "dwi", (), ("EP", "SE"), 5200, SEQUENCE.echo_time_ms)
    for first, volume, b_value in ((0, scanned.b0, 0.0), (len(scanned.b0.voxels), scanned.dwi, SEQUENCE.b_value)):
        kind = "TRACEW" if b_value else "NONE"
        for ds in images(header, volume, diffusion, first=first, image_type=("DERIVED", "PRIMARY", "DIFFUSION", kind)):
            ds.DiffusionBValue = b_value
            yield ds
    slope = header.plan.scanner.adc_slope
    yield from images(
        header,
        scanned.adc,
        Series(ADC, "adc", (), ("EP", "SE"), 5200, SEQUENCE.echo_time_ms, slope=slope),
        image_type=("DERIVED", "PRIMARY", "DIFFUSION", "ADC"),
    )
    if study.flair is not None:
        yield from images(
            header,
            study.flair,
            Series(FLAIR, "flair", (), ("SE", "IR"), 9000, 110, inversion_ms=2500),
            image_type=("ORIGINAL", "PRIMARY", "M", "IR"),
        )


def synthesize_tumours(tumours: list[Tumour], seed: int, *, rotation_deg: tuple[float, float, float]) -> TumourStudy:
    """A head drawn from formulas with tumours in it, by a tumour protocol; the same arguments give the same study."""
    anatomy, rest = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    patient = draw_patient(crop(Space.of(draw_head(anatomy))), rest, tumours)
    grid = Grid(
        rows=TUMOUR_MATRIX,
        columns=TUMOUR_MATRIX,
        spacing_mm=FIELD_OF_VIEW_MM / TUMOUR_MATRIX,
        slices=32,
        rotation_deg=rotation_deg,
    )
    return scan_apart(patient, grid, tumours, rest, movement_mm=MOVEMENT_MM, contrasts=CONTRASTS)


def tumour_series(header: StudyHeader, study: TumourStudy) -> Iterator[Dataset]:
    """Every image of the study: T1, T2, FLAIR, and T1 once more after contrast."""
    for role, contrast in CONTRASTS.items():
        inverted = contrast.kind == "FLAIR"
        series = Series(
            TUMOUR_SERIES[role],
            role.lower(),
            (),
            ("SE", "IR") if inverted else ("SE",),
            contrast.repetition_ms,
            contrast.echo_ms,
            contrast.inversion_ms if inverted else None,
            agent="Gadobutrol" if role == "T1c" else "",
        )
        image_type = ("ORIGINAL", "PRIMARY", "M", "IR" if inverted else "SE")
        yield from images(header, study.images[role], series, image_type=image_type)


def images(
    header: StudyHeader, volume: Volume, series: Series, *, image_type: tuple[str, ...], first: int = 0
) -> Iterator[Dataset]:
    """The instances of one volume, numbered after `first`."""
    scanner = header.plan.scanner
    for number, k in enumerate(range(len(volume.voxels)), start=first + 1):
        ds = new_object(
            header,
            sop_class_uid=MRImageStorage,
            modality="MR",
            series_number=series.number,
            description=scanner.descriptions[series.kind],  # type: ignore[index]
            instance_number=number,
            delay_s=60.0 * series.number + 0.1 * number,
        )
        ds.ImageType = list(image_type)
        ds.AcquisitionDate, ds.AcquisitionTime = ds.ContentDate, ds.ContentTime
        ds.AcquisitionNumber = 1
        ds.ProtocolName = scanner.descriptions[series.kind]  # type: ignore[index]
        ds.BodyPartExamined, ds.PatientPosition = scanner.body_part, "HFS"
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = list(series.sequence), "SK", ""
        ds.MRAcquisitionType, ds.MagneticFieldStrength, ds.ImagingFrequency = "2D", "3", "123.2"
        ds.RepetitionTime, ds.EchoTime = decimal(series.repetition_ms), decimal(series.echo_ms)
        ds.EchoTrainLength, ds.FlipAngle, ds.NumberOfAverages = 64, "90", "1"
        if series.inversion_ms is not None:
            ds.InversionTime = decimal(series.inversion_ms)
        if series.agent:
            ds.ContrastBolusAgent = series.agent
        if series.phase_lines is not None:
            columns = volume.voxels.shape[2]
            ds.InPlanePhaseEncodingDirection, ds.AcquisitionMatrix = "ROW", [columns, 0, 0, series.phase_lines]
            ds.PercentSampling = decimal(100 * series.phase_lines / columns)
            ds.PercentPhaseFieldOfView = "100"
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = header.frame_of_reference_uid, ""
        ds.ImagePositionPatient = [decimal(v) for v in volume.positions_mm[k]]
        ds.ImageOrientationPatient = [decimal(v) for v in (*volume.row_direction, *volume.column_direction)]
        ds.SliceLocation = decimal(volume.positions_mm[k][2])
        ds.SliceThickness, ds.SpacingBetweenSlices = "4.5", decimal(volume.slab_mm[k])
        ds.PixelSpacing = [decimal(v) for v in volume.spacing_mm]
        _encode(ds, volume, k, series.slope)
        yield ds


def _encode(ds: Dataset, volume: Volume, k: int, slope: float) -> None:
    stored = np.clip(np.rint(volume.voxels[k]), 0, 4095).astype("<u2")
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    high = max(1.0, float(np.percentile(volume.voxels, 99.8)))
    ds.WindowCenter, ds.WindowWidth = decimal(slope * high / 2), decimal(slope * high)
    if slope != 1:
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", decimal(slope), "US"
    ds.PixelData = stored.tobytes()
