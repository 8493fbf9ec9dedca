"""The network's view of a head, and the way back: whatever the orientation, spacing and thickness as acquired."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.card import Preprocess
from models.errors import InvalidVolume
from models.ich.preprocess import prepare, stacks
from models.volume import Volume

SETTINGS = Preprocess(spacing_mm=1.2, size=192, slab_mm=5, window=(-20, 120), centre=50, scale=70)


def head(
    *,
    spacing_mm: tuple[float, float] = (0.6, 0.6),
    centre_mm: tuple[float, float] = (0.0, 0.0),
    edge: int = 400,
    gaps_mm: tuple[float, ...] = (5.0, 5.0, 5.0),
    flip: tuple[bool, bool] = (False, False),
) -> Volume:
    """An elliptic head of 30 HU with a bright disc to the front and the patient's left; flips as (rows, columns)."""
    rows = (np.arange(edge) - (edge - 1) / 2) * spacing_mm[0]
    columns = (np.arange(edge) - (edge - 1) / 2) * spacing_mm[1]
    y = (rows * (-1 if flip[0] else 1))[:, None]
    x = (columns * (-1 if flip[1] else 1))[None]
    dy, dx = y - centre_mm[0], x - centre_mm[1]
    plane = np.where((dy / 90) ** 2 + (dx / 70) ** 2 <= 1, 30.0, -1000.0)
    plane[(dy + 40) ** 2 + (dx - 25) ** 2 <= 12**2] = 90.0
    offsets = np.concatenate([[0.0], np.cumsum(gaps_mm)])
    row = (-1.0 if flip[1] else 1.0, 0.0, 0.0)
    column = (0.0, -1.0 if flip[0] else 1.0, 0.0)
    positions = offsets[:, None] * np.cross(row, column)[None]
    voxels = np.repeat(plane[None], len(offsets), axis=0).astype(np.float32)
    return Volume(voxels, positions, row, column, spacing_mm)


def bright(plane: NDArray[np.float32]) -> NDArray[np.bool_]:
    return plane > (60 - SETTINGS.centre) / SETTINGS.scale


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@settings(max_examples=25, deadline=None)
@given(
    spacing=st.tuples(st.floats(0.5, 1.4), st.floats(0.5, 1.4)),
    centre=st.tuples(st.floats(-8, 8), st.floats(-8, 8)),
    flip=st.tuples(st.booleans(), st.booleans()),
)
def test_the_network_sees_one_head_and_its_answer_lies_where_the_head_was(
    spacing: tuple[float, float], centre: tuple[float, float], flip: tuple[bool, bool]
) -> None:
    volume = head(spacing_mm=spacing, centre_mm=centre, flip=flip)
    slices = prepare(volume, SETTINGS)
    assert slices.images.shape == (4, 192, 192)
    # The disc's middle: 40 mm to the front, 25 mm to the left of the head's.
    at = np.argwhere(bright(slices.images[1])).mean(axis=0)
    assert np.allclose(at, [95.5 - 40 / 1.2, 95.5 + 25 / 1.2], atol=0.8)
    restored = slices.restore(bright(slices.images[1]).astype(np.float32)) > 0.5
    assert overlap(restored, volume.voxels[1] > 60) > 0.93


def test_values_are_the_contracts() -> None:
    images = prepare(head(), SETTINGS).images
    assert images.min() == pytest.approx(-1)
    assert images[0, 96, 96] == pytest.approx((30 - 50) / 70)
    assert images[0, 0, 0] == pytest.approx(-1)


def test_a_narrow_image_is_surrounded_by_air() -> None:
    slices = prepare(head(edge=200), SETTINGS)
    assert np.allclose(slices.images[:, :20], -1)
    assert slices.restore(np.ones((192, 192), np.float32)).min() == 1


@pytest.mark.parametrize(
    ("gaps", "slabs"),
    [
        ((5.0,) * 3, [0, 1, 2, 3]),
        ((2.5,) * 5, [0, 0, 1, 1, 2, 2]),
        ((1.0,) * 11, [0] * 5 + [1] * 5 + [2] * 2),
        ((0.625,) * 16, [0] * 8 + [1] * 8 + [2]),
        ((3.0,) * 3, [0, 0, 1, 1]),
        ((10.0,) * 2, [0, 1, 2]),
        ((2.5, 2.5, 2.5, 2.5, 5.0, 5.0), [0, 0, 1, 1, 2, 3, 4]),
        ((), [0]),
    ],
)
def test_thin_slices_are_averaged_to_slabs(gaps: tuple[float, ...], slabs: list[int]) -> None:
    slices = prepare(head(gaps_mm=gaps, edge=300), SETTINGS)
    assert slices.slab_of.tolist() == slabs
    assert len(slices.images) == slabs[-1] + 1


def test_a_slab_is_the_mean_of_its_slices() -> None:
    volume = head(gaps_mm=(2.5,))
    volume.voxels[1][volume.voxels[1] == 90] = 50
    assert prepare(volume, SETTINGS).images[0].max() == pytest.approx((70 - 50) / 70, abs=0.01)


def test_below_is_below_even_when_slices_run_downwards() -> None:
    downwards = head(flip=(False, True))
    assert downwards.normal[2] < 0
    for k, voxels in enumerate(downwards.voxels):
        voxels[voxels == 90] = 60 + 10 * k
    slices = prepare(downwards, SETTINGS)
    assert slices.slab_of.tolist() == [3, 2, 1, 0]
    levels = slices.images.max(axis=(1, 2))
    assert levels.tolist() == sorted(levels.tolist(), reverse=True)
    shown = stacks(slices.images, (-1, 0, 1))
    assert np.array_equal(shown[0, 0], shown[0, 1])
    assert np.array_equal(shown[1, 0], slices.images[0])
    assert np.array_equal(shown[1, 2], slices.images[2])
    assert np.array_equal(shown[3, 2], slices.images[3])
    assert np.array_equal(stacks(slices.images, (-4, 0, 2))[1], slices.images[[0, 1, 3]])


def test_what_is_no_axial_head_is_refused() -> None:
    volume = head(edge=64)
    sagittal = Volume(volume.voxels, np.arange(4)[:, None] * np.array([1.0, 0, 0]), (0, 1, 0), (0, 0, 1), (1, 1))
    with pytest.raises(InvalidVolume, match="not axial"):
        prepare(sagittal, SETTINGS)
    volume.voxels[:] = -1000
    with pytest.raises(InvalidVolume, match="no tissue"):
        prepare(volume, SETTINGS)
