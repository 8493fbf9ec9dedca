"""Write whole MR images that training never saw, for `nightjar evaluate --task enhance`.

python -m models.enhance.train.heldout --mr DIR --labelmaps DIR --out DIR

OUT/real: the held-out real volumes as they are and, where slices are thin, averaged to 4 mm, each also at 1.3 mm in the
plane, as a 2-D protocol acquires. OUT/drawn: heads of held-out label maps in T1, T2, FLAIR and PD weighting.
"""

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.ais.train.tissue import Maps, draw_maps
from models.enhance.kspace import resize
from models.enhance.train.pool import HELD_OUT, HELD_OUT_MAPS
from models.enhance.train.slices import echo, normalise
from models.synthesis.labelmaps import read_labelmap
from models.synthesis.space import Space
from models.synthesis.tissue import VOXEL_MM

SEED = 20_262
THICK_MM = 4.0
COARSE_MM = 1.3
THIN_MM = 2.0
SCALE = 1000.0
WEIGHTINGS = {
    "T1": (550.0, 12.0, None),
    "T2": (5000.0, 100.0, None),
    "FLAIR": (9000.0, 110.0, 2450.0),
    "PD": (3200.0, 20.0, None),
}
"""Repetition, echo and inversion time, ms."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write whole MR images that training never saw.")
    parser.add_argument("--mr", type=Path, required=True)
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    for part in ("real", "drawn"):
        (arguments.out / part).mkdir(parents=True, exist_ok=True)
    for path in sorted(arguments.mr.glob("*.nii.gz")):
        if path.name.startswith(HELD_OUT):
            write_real(path, arguments.out / "real")
    for path in sorted(arguments.labelmaps.glob("*.nii.gz"))[-HELD_OUT_MAPS:]:
        write_drawn(path, arguments.out / "drawn")


def write_real(path: Path, out: Path) -> None:
    """One volume in up to four ways; slices stay in the plane they were acquired in, or become axial ones."""
    image = nib.as_closest_canonical(nib.nifti1.load(path))
    voxels = np.squeeze(np.asarray(image.dataobj, np.float32))
    zooms = np.array(image.header.get_zooms()[:3], float)
    name = path.name.split(".nii")[0]
    _write(voxels, zooms, out / f"{name}.nii.gz")
    if zooms[2] < THIN_MM:
        layers = round(THICK_MM / zooms[2])
        whole = voxels.shape[2] // layers * layers
        voxels = voxels[:, :, :whole].reshape(*voxels.shape[:2], -1, layers).mean(axis=3)
        zooms = zooms * (1, 1, layers)
        _write(voxels, zooms, out / f"{name}-thick.nii.gz")
    for axis in (0, 1):
        pixels = 2 * round(voxels.shape[axis] * zooms[axis] / COARSE_MM / 2)
        zooms[axis] *= voxels.shape[axis] / pixels
        voxels = resize(voxels, pixels, axis)
    _write(np.maximum(voxels, 0), zooms, out / f"{name}-1.3mm.nii.gz")


def write_drawn(path: Path, out: Path) -> None:
    """One head in four weightings, 4.8 mm slices, edges as sharp as 0.9 mm pixels hold."""
    rng = np.random.default_rng([SEED, int("".join(filter(str.isdigit, path.name)) or 0)])
    maps = draw_maps(Space.of(read_labelmap(path)), rng)
    layers = round(4.8 / VOXEL_MM)
    count = maps.density.shape[0] // layers
    name = path.name.split(".nii")[0].removeprefix("training_")
    for weighting, times in WEIGHTINGS.items():
        planes = normalise(_planes(maps, times, layers, count))
        fine = [ndimage.gaussian_filter(np.kron(p, np.ones((3, 3), np.float32)), 1.0) for p in planes]
        pixels = 2 * round(planes.shape[1] * VOXEL_MM / 0.9 / 2)
        whole = resize(resize(np.stack(fine), pixels, 1), pixels, 2)
        whole = np.maximum(whole + 0.004 * rng.standard_normal(whole.shape, np.float32), 0)
        edge = planes.shape[1] * VOXEL_MM / pixels
        _write(whole.transpose(2, 1, 0)[::-1, ::-1], np.array((edge, edge, 4.8)), out / f"{weighting}-{name}.nii.gz")


def _planes(maps: Maps, times: tuple[float, float, float | None], layers: int, count: int) -> NDArray[np.float32]:
    signal = echo(maps, *times)
    return np.asarray(signal[: count * layers].reshape(count, layers, *signal.shape[1:]).mean(axis=1), np.float32)


def _write(voxels: NDArray[np.float32], zooms: NDArray[np.float64], path: Path) -> None:
    """Canonical axes (right to left, posterior to anterior, inferior to superior)."""
    scaled = voxels if voxels.max() > SCALE / 10 else voxels * SCALE
    nib.save(nib.Nifti1Image(np.ascontiguousarray(scaled, np.float32), np.diag([*zooms, 1.0])), path)


if __name__ == "__main__":
    main()
