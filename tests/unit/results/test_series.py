"""The derived series: what it inherits, what it says of itself, and what its gate stops."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from support.answers import MODEL
from support.diffusion import diffusion
from support.mosaic import siemens, united_imaging

from models.prediction import Urgency
from services.errors import Reject
from services.results.answer import Answer
from services.results.encode import encode_image, sources_of
from services.results.equipment import part10
from services.results.series_gate import check_series


def _answer(together: Callable[[list[Dataset]], Dataset] | None = None, **changes: object) -> Answer:
    """Of three slices, or of the one instance that they make together."""
    slices = [
        diffusion(
            place,
            100,
            number=place + 1,
            b_value=None,
            ImageType=["ORIGINAL", "PRIMARY", "M", "SE"],
            ScanningSequence="SE",
            SequenceVariant="SK",
            SeriesNumber=4,
            SeriesDescription="t2_tse_tra a very long description of the sequence",
            Manufacturer="Scanner maker",
            PixelRepresentation=0,
            BitsStored=12,
            HighBit=11,
            EchoTime="90",
            PatientPosition="HFS",
            **changes,
        )
        for place in range(3)
    ]
    return Answer(
        sources=sources_of([together(slices)] if together else slices),
        segmentation=np.zeros((3, 4, 4), np.uint8),
        labels=(),
        findings=(),
        urgency=Urgency.STANDARD,
        model=replace(MODEL, name="enhance"),
        input_digest="12" * 32,
        analysed_at=datetime(2026, 1, 2, tzinfo=UTC),
        image=np.linspace(-3, 5000, 48, dtype=np.float32).reshape(3, 4, 4),
        parameters={"phase resolution %": 70},
    )


def test_an_image_lies_on_its_source_and_says_what_it_is() -> None:
    answer = _answer()
    written = [dcmread(BytesIO(data)) for _, data in encode_image(answer)]
    assert len({dataset.SOPInstanceUID for dataset in written}) == 3
    assert {dataset.SeriesInstanceUID for dataset in written} == {answer.uids.enhanced_series()}
    for dataset, source in zip(written, answer.sources, strict=True):
        assert dataset.ImagePositionPatient == source.ImagePositionPatient
        assert dataset.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert list(dataset.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
        assert dataset.SeriesDescription.startswith("AI-enhanced resolution. Not for diagnosis. t2_tse_tra")
        assert len(dataset.SeriesDescription) <= 64
        assert (dataset.SeriesNumber, dataset.EchoTime, dataset.Manufacturer) == (9104, 90, "Nightjar")
        scanner, processing = dataset.ContributingEquipmentSequence
        assert scanner.Manufacturer == "Scanner maker"
        assert MODEL.weights_digest in processing.ContributionDescription
        assert "phase resolution %=70" in dataset.DerivationDescription
    # Rounded, and kept within 12 bits.
    assert written[0].pixel_array.min() == 0
    assert written[2].pixel_array.max() == 4095
    assert answer.sources[0].SeriesNumber == 4
    assert answer.sources[0].Manufacturer == "Scanner maker"


@pytest.mark.parametrize("together", [siemens, united_imaging])
def test_of_a_mosaic_every_tile_becomes_an_image_of_its_own(together: Callable[[list[Dataset]], Dataset]) -> None:
    answer, apart = _answer(together), _answer()
    series = [data for _, data in encode_image(answer)]
    check_series(answer, series)
    written = [dcmread(BytesIO(data)) for data in series]
    assert len({dataset.SOPInstanceUID for dataset in written}) == 3
    for dataset, plain in zip(written, encode_image(apart), strict=True):
        expected = dcmread(BytesIO(plain[1]))
        assert dataset.SOPClassUID == MRImageStorage
        assert dataset.ImagePositionPatient == pytest.approx(list(expected.ImagePositionPatient))
        assert (dataset.pixel_array == expected.pixel_array).all()
        [reference] = dataset.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == answer.sources[0].SOPInstanceUID
        # A mosaic is one frame.
        assert "ReferencedFrameNumber" not in reference
    with pytest.raises(Reject, match="SOP Instance UID"):
        check_series(answer, [series[1], series[0], series[2]])


def test_values_go_back_through_the_slope_they_came_by() -> None:
    [first, *_] = [dcmread(BytesIO(data)) for _, data in encode_image(_answer(RescaleSlope="2", RescaleIntercept="-3"))]
    expected = np.rint((np.linspace(-3, 5000, 48)[:16] + 3) / 2)
    assert np.abs(first.pixel_array.ravel().astype(float) - expected).max() <= 1


def test_a_finer_grid_covers_the_same_plane() -> None:
    def wave(pixels: int) -> NDArray[np.float64]:
        return 100 + 40 * np.cos(2 * np.pi * np.arange(pixels) / pixels)

    plain = replace(_answer(), image=np.broadcast_to(wave(4), (3, 4, 4)).astype(np.float32))
    answer = replace(plain, finer=3)
    series = [data for _, data in encode_image(answer)]
    first, source = dcmread(BytesIO(series[0])), answer.sources[0]
    assert (first.Rows, first.Columns, source.Rows) == (12, 12, 4)
    assert [3 * v for v in first.PixelSpacing] == pytest.approx(list(source.PixelSpacing))
    assert first.ImagePositionPatient == source.ImagePositionPatient
    assert np.abs(first.pixel_array - wave(12)).max() <= 0.5
    assert "3 x the pixels a side" in first.DerivationDescription
    assert first.SeriesInstanceUID == answer.uids.enhanced_series(3) != plain.uids.enhanced_series()
    with pytest.raises(Reject, match="SOP Instance UID"):
        check_series(plain, series)
    first.PixelSpacing = source.PixelSpacing
    with pytest.raises(Reject, match="PixelSpacing"):
        check_series(answer, [part10(first), *series[1:]])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda d: d.__setattr__("PixelData", bytes(32)), "pixels"),
        (lambda d: d.__setattr__("ImagePositionPatient", [0, 0, 99]), "ImagePositionPatient"),
        (lambda d: d.__setattr__("ImageType", ["ORIGINAL", "PRIMARY"]), "derived"),
        (lambda d: d.__setattr__("PatientID", "other"), "PatientID"),
        (lambda d: d.__setattr__("SeriesDescription", "t2"), "notice"),
        (lambda d: d.__delattr__("ScanOptions"), "ScanOptions"),
        (lambda d: d.__setattr__("BurnedInAnnotation", "YES"), "written into its pixels"),
        (lambda d: d.SourceImageSequence[0].__setattr__("ReferencedSOPInstanceUID", "1.2"), "made from"),
    ],
)
def test_the_gate_stops_what_is_not_the_answer(spoil: Callable[[Dataset], None], reason: str) -> None:
    answer = _answer()
    series = [data for _, data in encode_image(answer)]
    dataset = dcmread(BytesIO(series[1]))
    spoil(dataset)
    series[1] = part10(dataset)
    with pytest.raises(Reject, match=reason):
        check_series(answer, series)
    with pytest.raises(Reject, match="another number"):
        check_series(answer, series[:2])


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(Reject, match="no MR images of 16 bits"):
        encode_image(_answer(SOPClassUID="1.2.840.10008.5.1.4.1.1.4.4"))
    with pytest.raises(Reject, match="no image"):
        encode_image(replace(_answer(), image=np.zeros((2, 4, 4), np.float32)))
