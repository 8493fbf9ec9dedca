"""Variation makes another person of the same drawing, and artefacts leave an image of one."""

import numpy as np
import pytest
from scipy import ndimage

from models.synthesis.anatomy import draw_head
from models.synthesis.artefacts import spoil
from models.synthesis.noise import enlarge, smooth_noise
from models.synthesis.space import Space, age, vary
from models.synthesis.tissue import BRAIN, VOXEL_MM, Anatomy, Tissue


@pytest.fixture(scope="module")
def head() -> Anatomy:
    return draw_head(np.random.default_rng(5))


def test_persons_differ_and_stay_heads(head: Anatomy) -> None:
    persons = [vary(head, np.random.default_rng(seed)) for seed in range(4)]
    brains = [person.brain.sum() * VOXEL_MM**3 / 1e6 for person in persons]  # litres
    assert len({round(litres, 3) for litres in brains}) == 4
    for person, litres in zip(persons, brains, strict=True):
        assert 0.7 < litres < 2.3
        assert not (person.brain & ~person.intracranial).any()
        halves = (person.brain & person.anatomy.left).sum() / person.brain.sum()
        assert 0.45 < halves < 0.55
        assert person.anatomy.mask(Tissue.LATERAL).any()


def test_sulci_are_remembered_where_variation_closes_them(head: Anatomy) -> None:
    closed = [vary(head, np.random.default_rng(seed)) for seed in range(6)]
    filled = [(person.sulci & person.brain).sum() for person in closed]
    assert max(filled) > 0
    assert min(filled) == 0


def test_age_opens_sulci_where_cortex_is_thickest(head: Anatomy) -> None:
    space = Space.of(head)
    from_white_mm = ndimage.distance_transform_edt(head.tissue != Tissue.WHITE) * VOXEL_MM
    lost_before = np.zeros_like(space.brain)
    for cortex_mm in (3.2, 2.4, 1.8):
        old = age(space, cortex_mm, np.random.default_rng(2))
        lost = old.anatomy.tissue != head.tissue
        assert lost.sum() > lost_before.sum()
        assert not (lost_before & ~lost).any()
        assert (head.tissue[lost] == Tissue.GREY).all()
        assert (old.anatomy.tissue[lost] == Tissue.CSF).all()
        assert np.array_equal(old.brain, space.brain & ~lost)
        assert np.array_equal(old.sulci, space.sulci | lost)
        assert from_white_mm[lost].min() > 0.5 * cortex_mm
        assert from_white_mm[old.anatomy.mask(Tissue.GREY)].max() < 1.7 * cortex_mm
        lost_before = lost


def test_depth_is_the_way_to_the_skull(head: Anatomy) -> None:
    space = Space.of(head)
    assert not space.depth_mm[~space.intracranial].any()
    assert space.depth_mm[space.intracranial].min() == pytest.approx(VOXEL_MM)
    middle = tuple(np.argwhere(head.mask(*BRAIN)).mean(axis=0).astype(int))
    assert space.depth_mm[middle] > 25


def test_artefacts_change_an_image_by_little_and_never_its_shape() -> None:
    voxels = np.full((6, 96, 96), -1000, np.float32)
    voxels[:, 20:76, 20:76] = 900
    voxels[:, 24:72, 24:72] = 35
    changes = []
    for seed in range(12):
        spoilt = spoil(voxels.copy(), 2.0, np.random.default_rng(seed))
        assert spoilt.shape == voxels.shape
        assert np.isfinite(spoilt).all()
        changes.append(float(np.median(np.abs(spoilt - voxels)[:, 30:66, 30:66])))
    assert max(changes) > 0
    assert np.median(changes) < 10


@pytest.mark.parametrize("wavelength", [3.0, 20.0])
def test_noise_is_standard_and_as_smooth_as_asked(wavelength: float) -> None:
    field = smooth_noise((40, 60, 50), wavelength, np.random.default_rng(0))
    assert field.shape == (40, 60, 50)
    assert field.std() == pytest.approx(1, abs=1e-3)
    step = np.abs(np.diff(field, axis=1)).mean()
    assert step < 2.5 / wavelength


def test_enlarging_meets_the_given_points() -> None:
    coarse = np.array([[0.0, 1.0], [2.0, 5.0]], np.float32)
    large = enlarge(coarse, (5, 5), 4)
    assert large[0, 0] == 0
    assert large[4, 4] == 5
    assert large[2, 2] == pytest.approx(2)
