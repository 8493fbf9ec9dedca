"""Parts of the tumour model that need no network: lesions, diameters, the network's input."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from support.tumour_head import axial, scan

from models.midline import midline_shift_mm
from models.registry import load_card
from models.resample import place_of
from models.tumour.mark import SMALLEST_ML, Thresholds, mark
from models.tumour.measure import diameters
from models.tumour.network import ROLES, deep_of, head_of, read, slices_apart, stack


def test_specks_and_what_is_nowhere_sure_are_no_lesions_and_the_largest_comes_first() -> None:
    grid = axial(slices=10, rows=40)
    p = np.zeros((3, 10, 40, 40), np.float32)
    p[0, 2, 5, 5] = 0.99
    p[0, 4:6, 5:12, 5:12] = 0.9  # above the threshold, nowhere sure
    p[0, 2:4, 20:30, 20:30] = 0.97
    p[0, 7:9, 20:34, 20:34] = 0.97
    p[1, 7:9, 24:28, 24:28] = 0.9
    marks = mark(p, grid, Thresholds(0.5, 0.5, 0.5), contrast=True)
    assert grid.voxel_ml[0] < SMALLEST_ML
    assert len(marks.lesions_ml) == 2
    assert marks.lesions_ml[0] > marks.lesions_ml[1]
    assert set(np.unique(marks.labels)) == {0, 1, 2}
    assert (marks.parts[7, 21, 21], marks.parts[2, 21, 21]) == (1, 2)


class _Everywhere:
    """A network that sees tumour everywhere, and an inside of the skull with a hole, and a speck apart from it."""

    name = "everywhere"

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        logits = np.full((len(inputs["slices"]), 6, *inputs["slices"].shape[2:]), 9, np.float32)
        logits[:, 3] = -9
        logits[:, 3, 40:90, 44:84] = 9
        logits[:, 3, 60:64, 60:68] = -9
        logits[:, 3, 4:8, 60:68] = 9
        return {"logits": logits}


def test_nothing_is_tumour_outside_of_the_skull() -> None:
    image = scan("T2", axial())
    images = dict.fromkeys(("T1c", "FLAIR", "T2", "T1"), image)
    head = head_of(image.voxels)
    maps = read(_Everywhere(), load_card("tumour"), images, head)
    inside = np.zeros(maps.seen.shape[2:], np.bool_)
    inside[40:90, 44:84] = True
    assert ((maps.seen > 0) == inside).all()
    assert 0 < (maps.regions[0] > 0.5).sum() < head.sum()


class _Halves:
    """A network that parts left from right where signal changes most along a row; ventricles lie in the middle."""

    name = "halves"

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        flair = inputs["slices"][:, 4]
        size = flair.shape[2]
        down, across = np.mgrid[:size, :size] - (size - 1) / 2
        logits = np.full((len(flair), 6, size, size), -9, np.float32)
        logits[:, 3, np.hypot(down / 50, across / 40) < 1] = 9
        logits[:, 4, np.hypot(down / 16, across / 8) < 1] = 9
        border = np.abs(np.diff(flair[:, :, 20:-20], axis=2)).argmax(axis=2) + 20
        logits[:, 5][np.arange(size) > border[..., None]] = 9
        return {"logits": logits}


@pytest.mark.parametrize("shift_mm", [0.0, 7.0, -5.0])
def test_the_midlines_shift_is_read_from_both_the_image_and_its_mirror(shift_mm: float) -> None:
    grid = axial()
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in grid.voxels.shape], indexing="ij"))
    x, y, _ = np.moveaxis(place_of(grid, index), -1, 0)
    bow = np.clip(1 - (y / 82) ** 2, 0, None) * shift_mm
    image = replace(grid, voxels=np.where(x > bow, 140, 100).astype(np.float32))
    maps = read(_Halves(), load_card("tumour"), dict.fromkeys(ROLES, image), np.hypot(x / 66, y / 82) < 1)
    assert midline_shift_mm(maps.inside, maps.left, maps.ventricles, 1.6) == pytest.approx(abs(shift_mm), abs=0.8)


def test_diameters_are_those_of_a_solid_known_by_formula() -> None:
    grid = axial(slices=3, rows=120, spacing_mm=1.0)
    y, x = np.mgrid[:120, :120] - 60.0
    turn = np.deg2rad(30)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    mask = np.zeros(grid.voxels.shape, bool)
    mask[1] = (along / 30) ** 2 + (across / 12) ** 2 <= 1
    mask[0] = np.hypot(x, y) < 8
    longest, width = diameters(mask, grid)
    assert longest == pytest.approx(60, abs=1.5)
    assert width == pytest.approx(24, abs=1.5)
    assert diameters(np.zeros_like(mask), grid) == (0.0, 0.0)
    mask[:] = False
    mask[1, 5, 5:9] = True
    assert diameters(mask, grid) == (0.0, 0.0)  # a line has no width


def test_slices_are_seen_with_their_neighbours_and_a_missing_role_is_zero() -> None:
    settings = load_card("tumour").preprocess
    planes = {"FLAIR": np.arange(4, dtype=np.float32)[:, None, None] * np.ones((4, 8, 8), np.float32)}
    around = [np.array([0, 0, 1, 2]), np.arange(4), np.array([1, 2, 3, 3])]
    stacks = stack(planes, around, settings)
    assert stacks.shape == (4, 12, 8, 8)
    assert (stacks[0, 3:6, 0, 0] * settings.scale + settings.centre).tolist() == [0, 0, 1]
    assert (stacks[3, 3:6, 0, 0] * settings.scale + settings.centre).tolist() == [2, 3, 3]
    assert not stacks[:, :3].any()
    assert not stacks[:, 6:].any()
    assert (slices_apart(axial(), settings), slices_apart(axial(step_mm=1.0), settings)) == (1, 3)


def test_usual_signal_is_measured_deep_in_the_head() -> None:
    image = scan("T2", axial())
    head = head_of(image.voxels)
    deep = deep_of(head, image.spacing_mm)
    assert head[:, 50, 50].any()
    assert not head[:, 0].any()
    assert 0.2 < deep.sum() / head.sum() < 0.8
