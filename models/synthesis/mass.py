"""Mass effect: collections press the brain inwards, clots push it aside, and the midline gives way."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.noise import enlarge, smooth_noise
from models.synthesis.space import Field, Mask, Space
from models.synthesis.tissue import INTRACRANIAL, VOXEL_MM, Anatomy, Tissue

FADES_MM = 48.0
"""How deep a collection at the skull is felt; half of the brain's width."""

COARSE = 2
"""Displacements are smooth: they are worked out on every second voxel."""


@dataclass(frozen=True, eq=False)
class Push:
    """What one bleed displaces.

    Attributes:
        thickness_mm: of a collection at the skull, over each voxel; felt below it.
        centre, radius_mm: of a clot in the brain, in voxels and mm: the sphere that pushes rather than replaces.
    """

    thickness_mm: Field | None = None
    centre: NDArray[np.float64] | None = None
    radius_mm: float = 0.0


def squeeze(space: Space, side: Mask, rng: np.random.Generator) -> Space:
    """Press the CSF out of one half of a head: its sulci close, its lateral ventricle narrows or closes."""
    tissue = space.anatomy.tissue.copy()
    kept = smooth_noise(tissue.shape, 20, rng) > rng.uniform(-0.5, 2.0)
    sulci = side & space.sulci & (space.depth_mm > 2.4) & ~kept
    tissue[sulci & (tissue == Tissue.CSF)] = Tissue.GREY
    lateral = side & (tissue == Tissue.LATERAL)
    # In the plane: a ventricle is flattened between the hemisphere's halves, not shortened.
    open_still = ndimage.binary_erosion(lateral, np.ones((1, 3, 3), np.bool_), iterations=int(rng.integers(1, 6)))
    tissue[lateral & ~open_still] = Tissue.WHITE
    return space.with_tissue(Anatomy(tissue, space.anatomy.left), space.sulci & ~sulci)


def displace(space: Space, pushes: Sequence[Push], shift_mm: float) -> Space:
    """The same skull with its content moved; sampled backwards, so every voxel asks where its tissue came from."""
    shape = space.anatomy.tissue.shape
    every = (slice(None, None, COARSE),) * 3
    depth = ndimage.gaussian_filter(space.depth_mm[every], 1.5)
    inside = space.intracranial[every]
    outward = -np.stack([np.gradient(depth, axis=axis) for axis in range(3)])
    outward /= np.linalg.norm(outward, axis=0) + 1e-3
    move = np.zeros((3, *depth.shape), np.float32)  # millimetres from a voxel to where its tissue came from
    for push in pushes:
        if push.thickness_mm is not None:
            thick = np.clip(ndimage.gaussian_filter(push.thickness_mm[every], 1.0), 0, 0.6 * FADES_MM)
            felt = np.clip(FADES_MM - depth, 0, None) / (FADES_MM - thick)
            move += outward * (thick * np.clip(felt, 0, 1))[None]
        elif push.centre is not None:
            axes = [
                ((np.arange(n, dtype=np.float32) * COARSE - c) * VOXEL_MM).reshape(
                    [-1 if a == axis else 1 for a in range(3)]
                )
                for axis, (n, c) in enumerate(zip(depth.shape, push.centre, strict=True))
            ]
            distance = np.sqrt(sum(axis**2 for axis in axes)) + 1e-3
            felt = np.clip(1 - (distance - push.radius_mm) / 30, 0, 1) * np.clip(depth / 8, 0, 1)
            for axis in range(3):
                move[axis] -= axes[axis] / distance * push.radius_mm * felt
    # The falx is held at the vault; the middle of the brain gives most.
    move[2] -= shift_mm * np.clip(depth / 45, 0, 1) ** 1.3
    move *= inside[None]
    move = np.stack([ndimage.gaussian_filter(part, 1.0) for part in move]) / VOXEL_MM
    places = [
        enlarge(part, shape, COARSE)
        + np.arange(n, dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, (part, n) in enumerate(zip(move, shape, strict=True))
    ]
    packed = space.anatomy.tissue | (space.anatomy.left.astype(np.uint8) << 6) | (space.sulci.astype(np.uint8) << 7)
    moved = ndimage.map_coordinates(packed, places, order=0, mode="nearest")
    tissue = np.asarray(moved & 63, np.uint8)
    left, sulci = (moved & 64) > 0, (moved & 128) > 0
    # The skull and what lies outside stay; where they would have been drawn in lies CSF.
    tissue[~space.intracranial] = space.anatomy.tissue[~space.intracranial]
    strange = space.intracranial & ~_content(tissue)
    tissue[strange] = Tissue.CSF
    return space.with_tissue(Anatomy(tissue, left), sulci & space.intracranial)


def _content(tissue: NDArray[np.uint8]) -> Mask:
    table = np.zeros(256, bool)
    table[list(INTRACRANIAL)] = True
    return np.asarray(table[tissue], np.bool_)
