"""Orbits for synthetic heads, whose label maps know eyes and one soft tissue around them: fat, muscles, optic nerve."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.noise import smooth_noise
from models.synthesis.space import Field, Mask, Space
from models.synthesis.tissue import VOXEL_MM, Tissue

SMALLEST_EYE_ML = 1.0
AROUND_MM, BEHIND_MM, BEFORE_MM = 26.0, 54.0, 14.0
"""What is looked at beside, behind and before the middle of an eye."""

Vector = NDArray[np.float64]


def furnish(space: Space, rng: np.random.Generator) -> tuple[Space, Mask]:
    """The head with orbits, and the muscles and glands in them, which take up contrast.

    Nothing inside of the skull changes. Between the other muscles of the head lies some fat then, too.
    """
    tissue = space.anatomy.tissue.copy()
    soft = tissue == Tissue.SOFT
    tissue[soft & (smooth_noise(tissue.shape, 12, rng) > rng.uniform(0.9, 2.5))] = Tissue.FAT
    muscles = np.zeros(tissue.shape, np.bool_)
    parts, _ = ndimage.label(tissue == Tissue.EYE)
    middle = tissue.shape[2] / 2
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        eye = parts[box] == number
        volume_ml = float(eye.sum()) * VOXEL_MM**3 / 1000
        if volume_ml < SMALLEST_EYE_ML:
            continue
        centre = np.argwhere(eye).mean(axis=0) + [s.start for s in box]
        radius_mm = (volume_ml * 750 / np.pi) ** (1 / 3)
        inwards = 1.0 if centre[2] < middle else -1.0
        _fill(tissue, muscles, space.intracranial, centre, radius_mm, inwards, rng)
    return replace(space, anatomy=replace(space.anatomy, tissue=tissue)), muscles


def _fill(
    tissue: NDArray[np.uint8],
    muscles: Mask,
    intracranial: Mask,
    centre: Vector,
    radius_mm: float,
    inwards: float,
    rng: np.random.Generator,
) -> None:
    """One orbit: a cone of fat from the eye to its apex, in it four straight muscles, the nerve, and the gland.

    Args:
        centre: of the eye, voxels (z, y, x).
        inwards: which way along x the nose lies.
    """
    reach = (np.array([AROUND_MM, BEFORE_MM, AROUND_MM]), np.array([AROUND_MM, BEHIND_MM, AROUND_MM]))
    low, high = (np.rint(centre + sign * r / VOXEL_MM).astype(int) for sign, r in zip((-1, 1), reach, strict=True))
    box = tuple(slice(max(0, a), min(n, b)) for a, b, n in zip(low, high, tissue.shape, strict=True))
    place = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij"), axis=-1)
    from_eye = (place - centre) * VOXEL_MM
    apex = np.array([rng.uniform(-2, 5), rng.uniform(36, 44), inwards * rng.uniform(10, 15)])
    length = float(np.linalg.norm(apex))
    along = apex / length
    t = np.asarray(from_eye @ along / length, np.float32)
    away = from_eye - (from_eye @ along)[..., None] * along
    distance = np.asarray(np.linalg.norm(away, axis=-1), np.float32)
    # The nerve and the muscles sag: none of them runs straight.
    up = np.cross(along, [0.0, 0.0, 1.0])
    up /= np.linalg.norm(up)
    angle = np.asarray(np.arctan2(away @ up, away @ np.cross(up, along)), np.float32)
    narrow = np.clip(1 - t, 0, 1)
    eye = tissue[box] == Tissue.EYE
    free = np.isin(tissue[box], np.array((Tissue.SOFT, Tissue.FAT), np.uint8)) & ~intracranial[box]
    cone = free & (t > -0.1) & (t < 1.03) & (distance < rng.uniform(17, 21) * narrow**0.7 + 2)
    tissue[box][cone] = Tissue.FAT
    size = rng.uniform(0.8, 1.5)
    muscle = _straight(t, distance, angle, narrow, radius_mm, size, rng) & cone & ~eye
    nerve = cone & ~eye & (t > 0.2) & (distance < rng.uniform(1.6, 2.6))
    gland_at = np.array([rng.uniform(5, 10), rng.uniform(-5, 2), -inwards * rng.uniform(11, 14)])
    gland = cone & ~eye & (np.linalg.norm(from_eye - gland_at, axis=-1) < rng.uniform(3, 6))
    tissue[box][muscle | nerve | gland] = Tissue.SOFT
    muscles[box] |= muscle | gland


def _straight(
    t: Field,
    distance: Field,
    angle: Field,
    narrow: Field,
    radius_mm: float,
    size: float,
    rng: np.random.Generator,
) -> Mask:
    """The four muscles: from a ring at the apex they spread to the eye's equator, thickest on their way."""
    course = 1.5 + (radius_mm + rng.uniform(0.5, 2.5)) * narrow ** rng.uniform(0.6, 0.9)
    belly = np.sin(np.pi * np.clip(0.12 + 0.88 * t, 0, 1))
    found = np.zeros(t.shape, np.bool_)
    for quarter in range(4):
        turned = angle - np.float32(quarter * np.pi / 2 + rng.normal(0, 0.12))
        aside = np.abs((turned + np.pi) % (2 * np.pi) - np.pi) * course
        thick = size * rng.uniform(1.5, 2.4) * (0.35 + 0.65 * belly)
        wide = size * rng.uniform(3.2, 4.8) * (0.5 + 0.5 * belly)
        found |= (np.abs(distance - course) / thick) ** 2 + (aside / wide) ** 2 < 1
    return found & (t > 0) & (t < 0.97)
