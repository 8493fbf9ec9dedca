"""A stored mask comes back bit by bit, and files from elsewhere keep their meaning or are refused with the reason."""

import numpy as np
import pytest
from support.masks import blobs, images

from services.review.incoming import Incoming, TaskLabel, apply_mapping, propose_mapping
from services.review.masks import InvalidMask, Mask, decode, dice, encode

LABELS = (TaskLabel(1, "IPH", "Intraparenchymal haemorrhage"), TaskLabel(3, "SDH", "Subdural haemorrhage"))


def incoming(names: dict[int, str], numbers: tuple[int, ...] = (1, 2)) -> Incoming:
    grid, _ = images()
    return Incoming(blobs(grid, numbers).astype(np.uint16), names, grid)


def test_a_stored_mask_is_what_was_stored() -> None:
    grid, _ = images()
    mask = Mask(blobs(grid), grid)
    stored = encode(mask)
    back = decode(stored)
    assert np.array_equal(back.labels, mask.labels)
    assert np.array_equal(back.grid.positions_mm, grid.positions_mm)
    assert (back.grid.sources, back.grid.frame_of_reference_uid) == (grid.sources, grid.frame_of_reference_uid)
    assert back.digest == mask.digest
    assert encode(back) == stored


def test_one_voxel_or_one_place_makes_another_digest() -> None:
    grid, _ = images()
    other_grid, _ = images("tilted and even")
    labels = blobs(grid)
    changed = labels.copy()
    changed[0, 0, 0] = 1
    digests = {Mask(labels, grid).digest, Mask(changed, grid).digest, Mask(labels, other_grid).digest}
    assert len(digests) == 3


def test_half_a_stored_mask_is_none() -> None:
    grid, _ = images()
    stored = encode(Mask(blobs(grid), grid))
    for data in (stored[: len(stored) // 2], b"", b"no archive"):
        with pytest.raises(ValueError, match="not a stored mask"):
            decode(data)


def test_volumes_count_uneven_gaps() -> None:
    grid, _ = images()
    labels = np.zeros(grid.shape, np.uint8)
    labels[1, :10, :10] = 1
    labels[9, :10, :10] = 3
    volumes = Mask(labels, grid).volumes_ml()
    assert volumes[3] / volumes[1] == pytest.approx(7.5 / 2.5, rel=1e-3)


def test_names_count_before_numbers() -> None:
    assert propose_mapping(incoming({1: "sdh", 2: "Intraparenchymal Haemorrhage"}), LABELS) == {1: 3, 2: 1}
    assert propose_mapping(incoming({1: "Segment 1", 2: "Lesion"}), LABELS) == {1: None, 2: None}
    assert propose_mapping(incoming({1: "Tissue", 2: "Tissue"}), LABELS, {1: "SDH", 2: "IPH"}) == {1: 3, 2: 1}
    assert propose_mapping(incoming({}, (3, 7)), LABELS) == {3: 3, 7: None}


def test_mapping_moves_every_voxel_once() -> None:
    taken = incoming({1: "a", 2: "b"})
    mask = apply_mapping(taken, {1: 3, 2: 0}, LABELS)
    assert np.array_equal(mask.labels == 3, taken.segments == 1)
    assert not (mask.labels == 1).any()


@pytest.mark.parametrize("mapping", [{1: 1}, {1: 1, 2: None}, {1: 1, 2: 9}])
def test_an_unknown_label_is_refused_with_its_place(mapping: dict[int, int | None]) -> None:
    taken = incoming({1: "IPH", 2: "Vessel"})
    voxels = taken.numbers[2]
    with pytest.raises(
        InvalidMask, match=rf"Number 2 \(Vessel\) of the file, {voxels} voxels, the first on slice 5, is no label"
    ):
        apply_mapping(taken, mapping, LABELS)


def test_leaving_everything_out_is_refused() -> None:
    with pytest.raises(InvalidMask, match="Nothing is left"):
        apply_mapping(incoming({}), {1: 0, 2: 0}, LABELS)


def test_dice_of_nothing_is_no_number() -> None:
    grid, _ = images()
    mask = blobs(grid) > 0
    assert dice(mask, mask) == 1
    assert dice(mask, ~mask) == 0
    assert dice(mask & False, mask & False) is None
