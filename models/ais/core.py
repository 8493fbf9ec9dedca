"""What both methods answer with: the core, cut into lesions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
NEIGHBOURS = np.ones((3, 3, 3), np.bool_)


@dataclass(frozen=True, eq=False)
class Core:
    """The core and its lesions, on the DWI's grid.

    Attributes:
        mask: core.
        parts: number of the lesion at each voxel, 0 for none.
        lesions_ml: their volumes, largest first; the order is that of `parts`.
    """

    mask: Mask
    parts: NDArray[np.int32]
    lesions_ml: tuple[float, ...]

    @classmethod
    def of(cls, parts: NDArray[np.integer[Any]], kept: list[tuple[float, int]]) -> "Core":
        """The core made of some of the parts: (mL, number of the part)."""
        order = np.zeros(int(parts.max(initial=0)) + 1, np.int32)
        kept = sorted(kept, reverse=True)
        for place, (_, number) in enumerate(kept, start=1):
            order[number] = place
        numbered = order[parts]
        return cls(numbered > 0, numbered, tuple(ml for ml, _ in kept))
