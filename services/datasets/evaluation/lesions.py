"""Lesion by lesion: how many were found, and how many are none."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
NEIGHBOURS = np.ones((3, 3, 3), np.bool_)


def lesion_f1(truth: Mask, answer: Mask) -> float | None:
    """F1 over lesions, which are parts connected by faces, edges or corners; None when both masks are empty.

    A lesion of the truth is found when the answer touches it; one of the answer that touches none of them is false.

    Source: Maier-Hein et al., Metrics reloaded, Nature Methods 2024;21:195 (localisation by any overlap), as ISLES'22.
    """
    (true_parts, true_count), (answer_parts, answer_count) = (
        ndimage.label(mask, structure=NEIGHBOURS) for mask in (truth, answer)
    )
    if true_count + answer_count == 0:
        return None
    found = len(np.unique(true_parts[answer & truth]))
    false = answer_count - len(np.unique(answer_parts[answer & truth]))
    return 2 * found / (2 * found + (true_count - found) + false)
