"""A head of ellipsoids in FreeSurfer's numbers, for code that reads whole-head label maps."""

from pathlib import Path

import nibabel as nib
import numpy as np

SIZE = 100
SPACING_MM = 2.4


def write_labelmap(path: Path) -> Path:
    """A NIfTI in RAS: scalp, skull, CSF, grey and white matter, ventricles, a thalamus on the left, a cerebellum."""
    x, y, z = ((np.arange(SIZE) - (SIZE - 1) / 2) * SPACING_MM for _ in range(3))
    right, front, up = x[:, None, None], y[None, :, None], z[None, None, :]

    def ellipsoid(*radii: float, at: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
        axes = zip((right, front, up), at, radii, strict=True)
        return np.asarray(sum(((axis - centre) / radius) ** 2 for axis, centre, radius in axes) < 1)

    numbers = np.zeros((SIZE, SIZE, SIZE), np.int16)
    for value, where in (
        (507, ellipsoid(82, 102, 92)),
        (515, ellipsoid(77, 97, 87)),
        (24, ellipsoid(71, 91, 81)),
        (3, ellipsoid(68, 88, 78)),
        (2, ellipsoid(60, 80, 70)),
        (24, ellipsoid(3, 91, 81) & (up > 25)),
        (4, ellipsoid(12, 35, 14, at=(0, 0, 5))),
        (10, ellipsoid(9, 12, 9, at=(-22, 0, 0))),
        (8, ellipsoid(40, 25, 20, at=(0, -45, -45))),
    ):
        numbers[where] = value
    nib.save(nib.Nifti1Image(numbers, np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1])), path)
    return path
