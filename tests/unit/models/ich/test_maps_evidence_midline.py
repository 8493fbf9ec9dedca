"""What the network's maps are read as: nothing bleeds outside the skull, neighbours count, and a bent midline shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.card import Evidence
from models.errors import EngineFailure
from models.evidence import read_signs, weigh
from models.ich.maps import marked, read_maps
from models.midline import midline_shift_mm
from models.registry import load_card

SIZE = 96
CARD = load_card("ich")
PIXEL_ML = 0.0072


def logits(*, inside: NDArray[np.bool_], bleeding: NDArray[np.bool_]) -> NDArray[np.float32]:
    given = np.zeros((*inside.shape[:1], 9, *inside.shape[1:]), np.float32)
    given[:, 0] = 4
    given[:, 1] = np.where(bleeding, 9, -9)
    given[:, 6] = np.where(inside, 9, -9)
    return given


@pytest.mark.parametrize(("thickness_mm", "kept"), [(2.5, False), (9.0, True)])
def test_a_rim_at_the_skull_is_no_collection(thickness_mm: float, kept: bool) -> None:
    inside = np.stack([disc(40)] * 3)
    x = np.arange(SIZE)[None]
    crescent = disc(40) & ~disc(40 - thickness_mm / CARD.preprocess.spacing_mm) & (x < 40)
    given = logits(inside=inside, bleeding=np.zeros_like(inside))
    given[:, 3] = np.where(crescent, 9, -9)
    given[:, 0] = -given[:, 3]
    found = read_maps(given, CARD).bleeds.argmax(axis=1) == 3
    assert np.array_equal(found, np.stack([crescent] * 3) & kept)


def disc(radius: float, row: float = 48, column: float = 48) -> NDArray[np.bool_]:
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.asarray(np.hypot(y - row, x - column) < radius)


def test_a_body_is_marked_as_far_as_it_is_hinted_at_and_a_hint_alone_is_not() -> None:
    bleeds = np.zeros((3, 6, SIZE, SIZE), np.float32)
    bleeds[1, 3][disc(12)] = 0.35
    bleeds[1, 3][disc(4)] = 0.9
    bleeds[1, 3][disc(5, 15, 15)] = 0.35
    bleeds[1, 3:5][:, disc(5, 80, 80)] = 0.28  # which of the two is unsure, not whether
    bleeds[:, 0] = 1 - bleeds.sum(axis=1)
    found = marked(bleeds)
    assert np.array_equal(found[1], np.where(disc(12) | disc(5, 80, 80), 3, 0))
    assert not found[[0, 2]].any()


def test_nothing_bleeds_outside_the_skull() -> None:
    inside = np.stack([disc(30)] * 3)
    bleeding = np.stack([disc(5) | disc(5, 8, 8)] * 3)
    maps = read_maps(logits(inside=inside, bleeding=bleeding), CARD)
    assert np.array_equal(maps.bleeds.argmax(axis=1) == 1, bleeding & inside)
    assert np.allclose(maps.bleeds.sum(axis=1), 1, atol=1e-5)


def test_the_cavity_is_one_space_without_holes() -> None:
    inside = np.stack([disc(30) & ~disc(4) | disc(3, 6, 6)] * 2)
    maps = read_maps(logits(inside=inside, bleeding=np.zeros_like(inside)), CARD)
    assert np.array_equal(maps.intracranial, np.stack([disc(30)] * 2))


@pytest.mark.parametrize("change", ["channels", "nan"])
def test_an_answer_that_is_none_fails(change: str) -> None:
    given = logits(inside=np.ones((1, 8, 8), np.bool_), bleeding=np.zeros((1, 8, 8), np.bool_))
    if change == "nan":
        given[0, 2, 3, 3] = np.nan
    with pytest.raises(EngineFailure):
        read_maps(given if change == "nan" else given[:, :7], CARD)


def bleeds(*slabs: float) -> NDArray[np.float32]:
    """One label that is this probable in a disc of each slab."""
    given = np.zeros((len(slabs), 2, SIZE, SIZE), np.float32)
    for k, p in enumerate(slabs):
        given[k, 1][disc(8)] = p
    given[:, 0] = 1 - given[:, 1]
    return given


EVIDENCE = Evidence(slice=(0.0, 1.0, 0.5, 0.2), study=(0.0, 1.0, 0.5, 0.0))


def test_a_slice_with_suspicious_neighbours_is_more_suspicious_than_one_alone() -> None:
    (alone,), (together,) = read_signs(bleeds(0, 0.6, 0), PIXEL_ML), read_signs(bleeds(0.6, 0.6, 0.6), PIXEL_ML)
    assert weigh(together, EVIDENCE)[0][1] > weigh(alone, EVIDENCE)[0][1]
    assert weigh(together, EVIDENCE)[1] > weigh(alone, EVIDENCE)[1]


def test_without_weights_the_suspicion_itself_is_the_probability() -> None:
    (signs,) = read_signs(bleeds(0.1, 0.7), PIXEL_ML)
    slabs, study = weigh(signs, None)
    assert slabs.tolist() == pytest.approx([0.1, 0.7])
    assert study == pytest.approx(0.7)


def test_a_single_slice_has_itself_for_neighbour() -> None:
    (signs,) = read_signs(bleeds(0.7), PIXEL_ML)
    assert signs.slabs[0, 0] == signs.slabs[0, 1] == signs.study[0]


def test_a_study_of_one_slice_is_as_probable_as_that_slice() -> None:
    (signs,) = read_signs(bleeds(0.7), PIXEL_ML)
    (slab,), study = weigh(signs, EVIDENCE)
    assert study == slab


@settings(max_examples=25)
@given(
    shift_mm=st.floats(0, 16),
    turned_deg=st.floats(-12, 12),
    to_left=st.booleans(),
)
def test_midline_shift_is_the_height_of_the_bow_however_the_head_lies(
    shift_mm: float, turned_deg: float, to_left: bool
) -> None:
    spacing, size = 1.2, 192
    y, x = np.mgrid[:size, :size].astype(float) - (size - 1) / 2
    turn = np.deg2rad(turned_deg)
    along, across = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
    inside = (along / 70) ** 2 + (across / 55) ** 2 < 1
    # The falx holds both ends; between them the midline bows.
    bow = np.clip(1 - (along / 70) ** 2, 0, None) * shift_mm / spacing * (1 if to_left else -1)
    left = (across > bow).astype(np.float32)
    ventricles = ((along / 20) ** 2 + (across / 10) ** 2 < 1).astype(np.float32)
    shown = (np.stack([m] * 3) for m in (inside, left, ventricles))
    assert midline_shift_mm(*shown, spacing) == pytest.approx(shift_mm, abs=1.3)


def test_no_shift_is_read_where_no_ventricle_shows() -> None:
    inside = np.stack([disc(40)])
    nothing = np.zeros(inside.shape, np.float32)
    assert midline_shift_mm(inside, nothing, nothing, 1.2) is None


def test_no_shift_is_read_where_left_is_known_in_patches_only() -> None:
    inside = np.stack([disc(40)])
    halves = np.broadcast_to(np.arange(SIZE) > 47.5, inside.shape).astype(np.float32)
    ventricles = disc(12)[None].astype(np.float32)
    assert midline_shift_mm(inside, halves, ventricles, 1.2) == pytest.approx(0, abs=0.5)
    patched = halves.copy()
    patched[:, 30:60, 20:40] = 1
    assert midline_shift_mm(inside, patched, ventricles, 1.2) is None
