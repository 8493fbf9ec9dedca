"""One head, four ways to write its voxels down: one answer in the patient's millimetres."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.cards import plain_ich_card
from support.tiny_network import write_bright_network

from models.engines import open_engine
from models.ich.model import ICHModel, create
from models.volume import Vector, Volume

BLOBS_MM = ((-30.0, 25.0), (38.0, -10.0))
"""Right of and behind the middle, left of it and in front: (left, posterior)."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ICHModel:
    card = plain_ich_card()
    network = write_bright_network(tmp_path_factory.mktemp("network") / "tiny.onnx", card)
    return create(card, open_engine(network, threads=1))


def head(spacing_mm: float, away_mm: tuple[float, float], tilt_deg: float, gaps_mm: tuple[float, ...]) -> Volume:
    """An ellipse of brain with a blob on each side, the left one in fewer slices; upright as scanners write it."""
    edge = int(210 / spacing_mm)
    y, x = np.meshgrid(*[(np.arange(edge) - (edge - 1) / 2) * spacing_mm] * 2, indexing="ij")
    x, y = x - away_mm[0], y - away_mm[1]
    plane = np.where((x / 70) ** 2 + (y / 85) ** 2 < 1, 30.0, -1000.0)
    voxels = np.repeat(plane[None], len(gaps_mm) + 1, axis=0).astype(np.float32)
    for first, (left, back) in enumerate(BLOBS_MM, start=1):
        voxels[first:4, (x - left) ** 2 + (y - back) ** 2 < 11**2] = 95.0
    tilt = np.deg2rad(tilt_deg)
    heights = np.concatenate([[0.0], np.cumsum(gaps_mm)])
    positions = np.array([-105.0, -105.0, 20.0]) + heights[:, None] * np.array([0.0, 0.0, 1.0])
    column: Vector = (0.0, float(np.cos(tilt)), float(np.sin(tilt)))
    return Volume(voxels, positions, (1.0, 0.0, 0.0), column, (spacing_mm, spacing_mm))


def turned(volume: Volume, rows: bool, columns: bool) -> Volume:
    """The same image with rows or columns, and slices where the normal turns, in the other order."""
    positions = volume.positions_mm.copy()
    row, column = np.array(volume.row_direction), np.array(volume.column_direction)
    _, height, width = volume.voxels.shape
    if rows:
        positions = positions + (height - 1) * volume.spacing_mm[0] * column
        column = -column
    if columns:
        positions = positions + (width - 1) * volume.spacing_mm[1] * row
        row = -row
    order = slice(None, None, -1 if rows != columns else 1)
    directions = [(float(v[0]), float(v[1]), float(v[2])) for v in (row, column)]
    return Volume(turned_array(volume.voxels, rows, columns), positions[order], *directions, volume.spacing_mm)


def turned_array(array: NDArray[np.generic], rows: bool, columns: bool) -> NDArray[np.generic]:
    steps = [-1 if turn else 1 for turn in (rows != columns, rows, columns)]
    return np.ascontiguousarray(array[:: steps[0], :: steps[1], :: steps[2]])


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@settings(max_examples=12)
@given(
    rows=st.booleans(),
    columns=st.booleans(),
    spacing_mm=st.sampled_from([0.6, 0.75, 0.9, 1.3]),
    away_mm=st.tuples(st.floats(-14, 14), st.floats(-8, 8)),
    tilt_deg=st.floats(-25, 25),
    gaps_mm=st.sampled_from([(5.0,) * 4, (2.5, 2.5, 2.5, 5.0), (4.0, 5.0, 6.0, 7.5)]),
)
def test_an_answer_stays_in_place_however_the_voxels_are_ordered(
    model: ICHModel,
    rows: bool,
    columns: bool,
    spacing_mm: float,
    away_mm: tuple[float, float],
    tilt_deg: float,
    gaps_mm: tuple[float, ...],
) -> None:
    upright = head(spacing_mm, away_mm, tilt_deg, gaps_mm)
    other = turned(upright, rows, columns)
    before = other.voxels.copy()
    first, second = (model.predict({"NCCT": volume}) for volume in (upright, other))
    assert np.array_equal(other.voxels, before)
    found = first.segmentation > 0
    assert dice(turned_array(second.segmentation, rows, columns) > 0, found) > 0.99
    if gaps_mm[0] > 2.5:  # thin slices are averaged to slabs, so a blob may gain or lose half of one
        assert dice(found, upright.voxels > 60) > 0.9
    (a,), (b,) = first.findings, second.findings
    assert a.volume_ml == pytest.approx(b.volume_ml, rel=0.01)
    assert a.urgency == b.urgency
    middles = []
    for volume, prediction in ((upright, first), (other, second)):
        k, i, j = np.nonzero(prediction.segmentation)
        places = (
            volume.positions_mm[k]
            + i[:, None] * volume.spacing_mm[0] * np.array(volume.column_direction)
            + j[:, None] * volume.spacing_mm[1] * np.array(volume.row_direction)
        )
        middles.append(places.mean(axis=0)[:2])
    assert np.allclose(*middles, atol=0.1)
