"""What growing a bleed needs to know of a head, and how one head becomes another person's."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.synthesis.noise import enlarge, smooth_noise
from models.synthesis.tissue import BRAIN, INTRACRANIAL, VENTRICLES, VOXEL_MM, Anatomy, Tissue

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Space:
    """A head and its distances; all on the (z, y, x) grid of `Anatomy`.

    Attributes:
        depth_mm: from the inner table of the skull inwards.
        sulci: CSF outside the ventricles, as it was before `vary` closed part of it: blood keeps a sulcus open.
    """

    anatomy: Anatomy
    intracranial: Mask
    brain: Mask
    depth_mm: Field
    sulci: Mask

    @classmethod
    def of(cls, anatomy: Anatomy, sulci: Mask | None = None) -> "Space":
        intracranial = anatomy.mask(*INTRACRANIAL)
        return cls(
            anatomy,
            intracranial,
            anatomy.mask(*BRAIN),
            _distance_mm(intracranial),
            anatomy.mask(Tissue.CSF) if sulci is None else sulci,
        )

    def with_tissue(self, anatomy: Anatomy, sulci: Mask) -> "Space":
        """The same skull with its content moved."""
        return replace(self, anatomy=anatomy, brain=anatomy.mask(*BRAIN), sulci=sulci)


def _distance_mm(inside: Mask) -> Field:
    """How deep each voxel lies in a mask, mm; computed in the mask's box alone."""
    distance = np.zeros(inside.shape, np.float32)
    boxes = ndimage.find_objects(inside.astype(np.uint8))
    if boxes:
        box = tuple(slice(max(0, s.start - 1), min(n, s.stop + 1)) for s, n in zip(boxes[0], inside.shape, strict=True))
        distance[box] = ndimage.distance_transform_edt(inside[box]) * VOXEL_MM
    return distance


def vary(anatomy: Anatomy, rng: np.random.Generator) -> Space:
    """Another person from the same drawing: bent, scaled, with wider or narrower sulci, rim and ventricles.

    Young brains touch the skull, and the sulci of a swollen one are closed; label maps of volunteers show neither.
    """
    bent = _bend(anatomy, rng)
    tissue = bent.tissue.copy()
    brain = bent.mask(*BRAIN)
    sulci = tissue == Tissue.CSF
    if rng.random() < 0.65:
        fill = sulci & (_distance_mm(~brain) < rng.uniform(1.0, 6.0) * (1 + 0.3 * smooth_noise(tissue.shape, 30, rng)))
        tissue[fill & (_distance_mm(bent.mask(*INTRACRANIAL)) < rng.uniform(6, 30))] = Tissue.GREY
    _resize_ventricles(tissue, rng)
    return Space.of(Anatomy(tissue, bent.left), sulci)


def age(space: Space, cortex_mm: float, rng: np.random.Generator) -> Space:
    """The same person old: cortex of that thickness at most, here more and there less; CSF where the rest of it was.

    Volunteers' sulci are closed in their label maps, bank on bank; those of most patients are open.
    """
    tissue = space.anatomy.tissue.copy()
    thick = cortex_mm * (1 + 0.12 * smooth_noise(tissue.shape, 25, rng))
    lost = (tissue == Tissue.GREY) & (_distance_mm(tissue != Tissue.WHITE) > thick)
    tissue[lost] = Tissue.CSF
    return space.with_tissue(replace(space.anatomy, tissue=tissue), space.sulci | lost)


def _bend(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    shape = anatomy.tissue.shape
    step = 40.0
    coarse = tuple(int(np.ceil(n / step)) + 2 for n in shape)
    anchor = np.array([shape[0] * 0.6, shape[1] / 2, shape[2] / 2])
    scale = rng.normal(1, 0.04) * np.exp(rng.normal(0, 0.035, 3))
    places = []
    for axis, n in enumerate(shape):
        line = ((np.arange(n, dtype=np.float32) - anchor[axis]) * scale[axis] + anchor[axis]).astype(np.float32)
        bend = enlarge(rng.normal(0, 1.8, coarse).astype(np.float32), shape, step)
        places.append(bend + line.reshape([-1 if a == axis else 1 for a in range(3)]))
    return Anatomy(
        ndimage.map_coordinates(anatomy.tissue, places, order=0, cval=Tissue.AIR),
        ndimage.map_coordinates(anatomy.left.astype(np.uint8), places, order=0, mode="nearest") > 0,
    )


def _resize_ventricles(tissue: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Wider by up to 4 mm, in the old, or narrower by up to 1.5 mm."""
    change = rng.choice([0, 1, 2], p=[0.35, 0.4, 0.25])
    lateral = tissue == Tissue.LATERAL
    if change == 1:
        reach = rng.uniform(0.8, 4.0)
        near = _distance_mm(~lateral) < reach
        tissue[near & np.isin(tissue, (Tissue.WHITE, Tissue.DEEP_GREY, Tissue.GREY))] = Tissue.LATERAL
    elif change == 2:
        ventricle = np.isin(tissue, VENTRICLES)
        rim = lateral & (_distance_mm(ventricle) < rng.uniform(0.8, 2.0))
        tissue[rim] = Tissue.WHITE
