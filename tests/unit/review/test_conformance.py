"""Headers against the consensus' tables, and signal to noise of a known image."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from models.volume import Volume
from services.review.conformance import Line, SeriesFacts, check, read_facts
from services.review.protocols import load_protocol
from services.review.signal import measure_signal, otsu

STROKE, TUMOUR = load_protocol("ais-mri"), load_protocol("cns-tumour-mri")


def headers(slices: int = 26, **values: object) -> list[Dataset]:
    found = []
    for index in range(slices):
        header = Dataset()
        header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        header.ImagePositionPatient = [0, 0, index * 5.5]
        header.Rows, header.Columns, header.PixelSpacing = 256, 256, [0.9, 0.9]
        header.SliceThickness, header.MagneticFieldStrength = 5, 3
        for keyword, value in values.items():
            setattr(header, keyword, value)
        found.append(header)
    return found


def line(lines: list[Line], role: str | None, what: str) -> Line:
    [found] = [each for each in lines if (each.role, each.what) == (role, what)]
    return found


def test_a_series_as_wanted_fits_in_every_line() -> None:
    flair = read_facts("FLAIR", headers(RepetitionTime=9000, EchoTime=120, InversionTime=2400))
    assert (flair.gap_mm, flair.field_of_view_mm, flair.matrix) == (0.5, 230.4, (256, 256))
    lines = [each for each in check(STROKE, [flair]) if each.role in (None, "FLAIR")]
    assert all(each.fits for each in lines), [each for each in lines if not each.fits]
    assert line(check(STROKE, [flair]), "DWI", "Sequence").fits is False


@pytest.mark.parametrize(
    ("role", "values", "what"),
    [
        ("FLAIR", {"InversionTime": 1800}, "TI"),
        ("FLAIR", {"SliceThickness": 5.2}, "Slice thickness"),
        ("FLAIR", {"SliceThickness": 4}, "Gap"),
        ("FLAIR", {"PixelSpacing": [1, 1]}, "Field of view"),
        ("FLAIR", {"AcquisitionMatrix": [0, 256, 160, 0]}, "Matrix"),
        ("FLAIR", {"RepetitionTime": 8000}, "TR"),
        ("T2", {"RepetitionTime": 2000}, "TR"),
        ("T1", {"EchoTime": 30}, "TE"),
        ("T1", {"RepetitionTime": 2000}, "TR"),
        ("DWI", {"DiffusionBValue": 800.0}, "b-values"),
        (None, {"MagneticFieldStrength": 1.0}, "Field strength"),
    ],
)
def test_each_departure_is_named(role: str | None, values: dict[str, object], what: str) -> None:
    facts = read_facts(role or "T2", headers(**values))
    assert line(check(STROKE, [facts]), role, what).fits is False


def test_both_b_values_are_needed_and_coverage_is_measured() -> None:
    both = headers(DiffusionBValue=0.0) + headers(DiffusionBValue=1000.0)
    facts = read_facts("DWI", both)
    assert (facts.b_values, facts.coverage_mm) == ((0.0, 1000.0), 142.5)
    assert line(check(STROKE, [facts]), "DWI", "b-values").fits
    private = headers()
    for header, b_value in zip(private, [1.25, 999.7] * 13, strict=True):
        header.private_block(0x0065, "Image Private Header", create=True).add_new(0x09, "FD", b_value)
    assert read_facts("DWI", private).b_values == (1.0, 1000.0)
    short = read_facts("DWI", headers(10))
    assert line(check(STROKE, [short]), "DWI", "Coverage").fits is False


def test_a_bound_counts_only_where_the_consensus_counts_it() -> None:
    facts = read_facts("T1", headers(RepetitionTime=800, EchoTime=29.9))
    lines = check(STROKE, [facts])
    assert (line(lines, "T1", "TR").fits, line(lines, "T1", "TR").wanted) == (True, "300 – 800 ms")
    assert (line(lines, "T1", "TE").fits, line(lines, "T1", "TE").wanted) == (True, "< 30 ms")


def test_what_headers_do_not_say_neither_fits_nor_fails() -> None:
    lines = check(STROKE, [SeriesFacts("T1")])
    assert {each.fits for each in lines if each.role == "T1" and each.what != "Sequence"} == {None}
    assert read_facts("T1", []) == SeriesFacts("T1")
    odd = headers(1, PixelSpacing=None, ImagePositionPatient=None)
    assert read_facts("T1", odd).coverage_mm is None


def test_a_3d_series_has_its_own_thickness() -> None:
    thin = read_facts("T1c", headers(MRAcquisitionType="3D", SliceThickness=3))
    assert line(check(TUMOUR, [thin]), "T1c", "Slice thickness").wanted == "≤ 2 mm"
    flat = read_facts("T1c", headers(SliceThickness=3))
    assert line(check(TUMOUR, [flat]), "T1c", "Slice thickness").fits


def test_an_enhanced_object_is_read_like_a_classic_one() -> None:
    header = Dataset()
    header.Rows, header.Columns, header.MagneticFieldStrength = 256, 256, 3
    shared, measures, echo, plane = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.9, 0.9], 5
    echo.EffectiveEchoTime = 100
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.MREchoSequence, shared.PlaneOrientationSequence = [measures], [echo], [plane]
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = []
    for index in range(26):
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, index * 5.5]
        frame.PlanePositionSequence = [place]
        header.PerFrameFunctionalGroupsSequence.append(frame)
    facts = read_facts("T2", [header])
    assert (facts.echo_ms, facts.gap_mm, facts.coverage_mm) == (100, 0.5, 142.5)


def test_signal_and_contrast_of_a_known_image() -> None:
    """Tissue of 100 and 160 in Rician noise of 5: SNR near 130 / 5, CNR near 60 / 5."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:128, :128] - 63.5
    radius = np.hypot(y, x)
    clean = np.where(radius < 45, np.where(x < 0, 100.0, 160.0), 0)
    noisy = np.hypot(clean + rng.normal(0, 5, (9, 128, 128)), rng.normal(0, 5, (9, 128, 128)))
    places = np.array([[0.0, 0.0, 5.0 * k] for k in range(9)])
    volume = Volume(noisy.astype(np.float32), places, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (2.0, 2.0))
    found = measure_signal(volume)
    assert found is not None
    assert found.snr == pytest.approx(26, rel=0.05)
    assert found.cnr == pytest.approx(12, rel=0.05)
    cut = Volume(
        np.where(radius < 50, noisy, 0).astype(np.float32), places, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (2.0, 2.0)
    )
    estimated = measure_signal(cut)  # no air left to measure noise in
    assert found.in_air
    assert estimated is not None
    assert not estimated.in_air
    assert estimated.snr == pytest.approx(26, rel=0.1)
    assert estimated.cnr == pytest.approx(12, rel=0.1)
    empty = Volume(np.zeros((9, 8, 8), np.float32), places, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (2.0, 2.0))
    assert measure_signal(empty) is None


def test_otsu_parts_two_classes() -> None:
    values = np.concatenate([np.full(100, 1.0), np.full(50, 9.0)]).astype(np.float32)
    threshold = otsu(values)
    assert threshold is not None
    assert 1 < threshold < 9
    assert otsu(np.ones(5, np.float32)) is None
