"""How probable it is that a slice, and the study, shows a label: signs in a slab and its neighbours, weighed.

A bleed or an infarct is seen in neighbouring slices and has a body; noise and partial volume are neither. Three signs
a slab and three a study go through one logistic function a label, whose weights stand in the card and were fitted on
synthetic studies that the network had not seen.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit, logit

from models.card import Evidence

TOP_ML = 0.2
"""A slab is as suspicious as the mean of its most suspicious voxels of this much volume."""

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Signs:
    """What speaks for one label.

    Attributes:
        slabs: (slabs, 3): suspicion of the slab itself, of its neighbours (both as logit), log of its soft volume.
        study: (3,): suspicion of the most suspicious pair of neighbours (logit), log of the largest body's soft
            volume, log of the volume that other labels claim.
        top: (slabs,): suspicion of each slab, 0 to 1.
    """

    slabs: Values
    study: Values
    top: Values


def read_signs(probabilities: NDArray[np.float32], pixel_ml: float) -> list[Signs]:
    """The signs of every label.

    Args:
        probabilities: (slabs, 1 + labels, size, size), background first.
        pixel_ml: volume of a voxel of a slab of usual thickness.
    """
    count = max(1, round(TOP_ML / pixel_ml))
    claimed = probabilities.argmax(axis=1)
    total = float((claimed > 0).sum())
    signs = []
    for value in range(1, probabilities.shape[1]):
        p = probabilities[:, value]
        flat = p.reshape(len(p), -1)
        top = np.partition(flat, -count, axis=1)[:, -count:].mean(axis=1).astype(float)
        below, above = np.concatenate([top[:1], top[:-1]]), np.concatenate([top[1:], top[-1:]])
        soft = np.where(p > 0.1, p, 0)
        others = (total - float((claimed == value).sum())) * pixel_ml
        signs.append(
            Signs(
                slabs=np.stack(
                    [_logit(top), _logit((below + above) / 2), np.log(0.02 + soft.sum(axis=(1, 2)) * pixel_ml)], axis=1
                ),
                study=np.array(
                    [
                        _logit(((top + np.maximum(below, above)) / 2).max()),
                        np.log(0.05 + _largest_body(p) * pixel_ml),
                        np.log(0.05 + others),
                    ]
                ),
                top=top,
            )
        )
    return signs


def _logit(p: Values | float) -> Values:
    return np.asarray(logit(np.clip(p, 1e-4, 1 - 1e-4)))


def _largest_body(p: NDArray[np.float32]) -> float:
    """Summed probability of the largest connected body, in voxels."""
    parts, count = ndimage.label(p > 0.3, structure=np.ones((3, 3, 3)))
    if count == 0:
        return 0.0
    inside = parts > 0
    return float(np.bincount(parts[inside], weights=p[inside]).max())


def weigh(signs: Signs, evidence: Evidence | None) -> tuple[Values, float]:
    """Probabilities of the slabs, (slabs,), and of the study; without weights the suspicion itself.

    A study of one slab is that slab: the study's weights expect a body that runs through several.
    """
    if evidence is None:
        return signs.top, float(signs.top.max())
    slabs = expit(evidence.slice[0] + signs.slabs @ np.array(evidence.slice[1:]))
    if len(slabs) == 1:
        return np.asarray(slabs), float(slabs[0])
    return np.asarray(slabs), float(expit(evidence.study[0] + signs.study @ np.array(evidence.study[1:])))
