"""CT as scanners write it: what a reader decodes is what was put in, wherever the slices lie."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from models.volume import Volume
from services.demonstration.ct import ct_series, decimal, outside_circle
from services.demonstration.header import StudyHeader
from services.demonstration.localiser import project
from services.demonstration.plan import DEMONSTRATION, PhantomPlan
from services.demonstration.scanner import ALBATROSS, BUSSARD, CORMORAN, DORSAL


def _plan(**values: object) -> PhantomPlan:
    return PhantomPlan(
        **{
            "name": "test",
            "description": "a test",
            "patient": "Phantom^Test",
            "birth_date": "19500101",
            "sex": "F",
            "scanner": ALBATROSS,
            "expected": "analysed",
            **values,
        }
    )


def _volume(slices: int, matrix: int, tilt_deg: float = 0.0, step_mm: float = 5.0) -> Volume:
    tilt = np.deg2rad(tilt_deg)
    column = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    voxels = np.random.default_rng(3).integers(-1000, 2000, (slices, matrix, matrix)).astype(np.float32)
    positions = np.array([-113.4571, -98.31, 7.77]) + np.arange(slices)[:, None] * [0.0, 0.0, step_mm]
    return Volume(voxels, positions, (1.0, 0.0, 0.0), tuple(column), (0.4512345, 0.4512345))


def _read(ds: Dataset) -> Dataset:
    buffer = BytesIO()
    ds.save_as(buffer, implicit_vr=False, little_endian=True)
    return dcmread(BytesIO(buffer.getvalue()), force=True)


@settings(max_examples=40, deadline=None)
@given(
    scanner=st.sampled_from([ALBATROSS, BUSSARD, CORMORAN, DORSAL]),
    slices=st.integers(1, 6),
    matrix=st.integers(4, 24),
    tilt_deg=st.floats(-25.0, 25.0),
    step_mm=st.floats(0.5, 10.0),
)
def test_every_scanner_writes_the_voxels_and_places_it_was_given(scanner, slices, matrix, tilt_deg, step_mm):
    volume = _volume(slices, matrix, tilt_deg, step_mm)
    header = StudyHeader(_plan(scanner=scanner, tilt_deg=tilt_deg), seed=0, number=1)
    written = [_read(ds) for ds in ct_series(header, volume, series_number=2, kernel="soft", thickness_mm=5.0)]

    assert [ds.InstanceNumber for ds in written] == list(range(1, slices + 1))
    assert len({ds.SOPInstanceUID for ds in written}) == slices
    ascending = written[::-1] if scanner.descending else written
    np.testing.assert_allclose([ds.ImagePositionPatient for ds in ascending], volume.positions_mm, atol=1e-6)
    inside = ~outside_circle(matrix, matrix)
    for k, ds in enumerate(ascending):
        cosines = (*volume.row_direction, *volume.column_direction)
        np.testing.assert_allclose([float(value) for value in ds.ImageOrientationPatient], cosines, atol=1e-7)
        stored = np.frombuffer(ds.PixelData, "<i2" if ds.PixelRepresentation else "<u2").reshape(matrix, matrix)
        np.testing.assert_array_equal(
            stored[inside] * float(ds.RescaleSlope) + float(ds.RescaleIntercept), volume.voxels[k][inside]
        )
        if scanner.padding is not None:
            assert (stored[~inside] == ds.PixelPaddingValue).all()
        assert float(ds.GantryDetectorTilt) == pytest.approx(tilt_deg, abs=1e-6)


@given(st.floats(-99999.0, 99999.0))
def test_a_decimal_string_fits_and_says_the_number(value):
    text = decimal(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize("tilt_deg", [0.0, 18.0, -12.0])
def test_a_localiser_shows_things_where_they_are(tilt_deg):
    """A point in the patient lies in the lateral localiser at its own height and depth."""
    volume = _volume(21, 64, tilt_deg, 3.0)
    volume.voxels[:] = -1000.0
    k, row = 10, 40
    volume.voxels[k, row, :] = 3000.0
    where = volume.positions_mm[k] + row * volume.spacing_mm[0] * np.array(volume.column_direction)

    seen = project(volume, "lateral", spacing_mm=0.5)

    image_row, image_column = np.unravel_index(seen.image.argmax(), seen.image.shape)
    place = seen.position_mm + 0.5 * (
        image_row * np.array(seen.column_direction) + image_column * np.array(seen.row_direction)
    )
    np.testing.assert_allclose(place[1:], where[1:], atol=0.8)


def test_the_demonstration_covers_what_it_promises():
    labels = {bleed.label for plan in DEMONSTRATION for bleed in plan.bleeds}
    assert labels == {"IPH", "IVH", "SDH", "EDH", "SAH"}
    assert {plan.expected for plan in DEMONSTRATION} == {"analysed", "not_applicable", "parked"}
    analysed = [plan for plan in DEMONSTRATION if plan.expected == "analysed"]
    assert sum(plan.anatomy == "head" and not plan.bleeds for plan in analysed) == 2
    assert [bool(plan.infarcts) for plan in analysed if plan.anatomy == "stroke"] == [True, False]
    assert [len(plan.tumours) for plan in analysed if plan.anatomy == "tumour"] == [1]
    assert len({plan.name for plan in DEMONSTRATION}) == len(DEMONSTRATION)
    assert all(plan.patient.startswith("Phantom^") for plan in DEMONSTRATION)
