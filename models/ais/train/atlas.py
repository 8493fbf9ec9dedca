"""Make the map of arterial territories: python -m models.ais.train.atlas --labelmaps DIR --priors DIR

The label maps that training uses (SynthSeg's, Apache-2.0) are each laid on the others' mean by an affine registration;
the mean stands where priors of grey matter, white matter and CSF in MNI coordinates (`scgrey.nii`, `scwhite.nii`,
`sccsf.nii` of the Clinical toolbox, BSD) say. Of the priors nothing goes into the map but where the coordinates lie.

What is supplied by which artery is drawn by rules: deep structures, brain stem and cerebellum by their labels, cortex
and white matter by planes in MNI millimetres as published anatomy describes the borders (docs/models/ais.md).
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage

from models.ais.head import Placement, align
from models.ais.preprocess import Field, Mask
from models.ais.territory import ATLAS, LEVELS, Territory
from models.ais.train.studies import labelmap_files
from models.nifti import grid_of, read_nifti
from models.resample import index_of, place_of
from models.volume import Volume

CEREBRUM = (2, 3, 41, 42)
"""White matter and cortex, FreeSurfer's numbers; both sides."""

SUPPLIED: dict[Territory, tuple[int, ...]] = {
    Territory.ACA: (26, 58),
    Territory.MCA: (11, 12, 13, 18, 50, 51, 52, 54),
    Territory.PCA: (10, 17, 28, 49, 53, 60),
    Territory.VERTEBROBASILAR: (7, 8, 16, 46, 47),
}
"""Accumbens; caudate, putamen, pallidum, amygdala; thalamus, hippocampus, ventral diencephalon; below the tentorium."""

TISSUE = tuple(number for numbers in SUPPLIED.values() for number in numbers)
WATER = (4, 5, 14, 15, 24, 43, 44, 72)
CLOSE_MM = 9.0
"""As the brain in a DWI is closed (`models.ais.brain`)."""

REACH_MM = 20.0
"""So far beyond the mean brain the nearest territory goes on: people are larger than the mean."""

MARGIN = 20
"""Voxels around a brain."""

Numbers = NDArray[np.int16]


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the map of arterial territories.")
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--priors", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ATLAS)
    arguments = parser.parse_args()
    persons = [read_person(path) for path in track(labelmap_files(arguments.labelmaps, held_out=False), "Reading")]
    pictures = [picture_of(person) for person in persons]
    mean = prior_head(arguments.priors)
    for turn in ("Coarsely", "Finely"):
        placed = [lay(picture, mean) for picture in track(pictures, turn)]
        moved = [brought(picture, where, mean) for picture, where in zip(pictures, placed, strict=True)]
        mean = replace(mean, voxels=np.mean(moved, axis=0))
    territories = draw(list(zip(persons, placed, strict=True)), mean)
    arguments.out.mkdir(parents=True, exist_ok=True)
    grid = grid_of(mean)
    grid.write(np.rint(mean.voxels * LEVELS), arguments.out / "head.nii.gz")
    grid.write(territories, arguments.out / "territories.nii.gz")
    inside = mean.voxels > 0.5
    cerebrum = inside & (territories != Territory.VERTEBROBASILAR)
    for territory in Territory:
        share = (inside & (territories == territory)).sum() / cerebrum.sum()
        print(f"{territory.name}: {100 * share:.0f} % of what lies above the tentorium")


def read_person(path: Path) -> Volume:
    """A label map around the brain, every other voxel."""
    volume, _ = read_nifti(path)
    known = np.isin(volume.voxels.astype(np.int16), [*CEREBRUM, *WATER, *TISSUE])
    box = tuple(slice(max(0, int(at.min()) - MARGIN), int(at.max()) + MARGIN) for at in np.nonzero(known))
    origin = place_of(volume, np.array([[s.start] for s in box], np.float64))[0]
    step = volume.positions_mm[1] - volume.positions_mm[0]
    voxels = volume.voxels[box]
    return thinned(
        replace(volume, voxels=voxels, positions_mm=origin + np.arange(len(voxels))[:, None] * step),
        2,
    )


def thinned(volume: Volume, step: int) -> Volume:
    """Every second voxel along each axis, or every third."""
    return replace(
        volume,
        voxels=np.ascontiguousarray(volume.voxels[::step, ::step, ::step]),
        positions_mm=volume.positions_mm[::step],
        spacing_mm=(step * volume.spacing_mm[0], step * volume.spacing_mm[1]),
    )


def picture_of(person: Volume) -> Volume:
    """A label map as `models.ais.head.picture` shows a patient: 1 in tissue, 0.5 in water, 0 outside."""
    tissue = np.isin(person.voxels.astype(np.int16), [*CEREBRUM, *TISSUE])
    return shown(person, tissue.astype(np.float32))


def prior_head(folder: Path) -> Volume:
    """Likewise the priors, whose grid the map has."""
    grey, _ = read_nifti(folder / "scgrey.nii")
    white, _ = read_nifti(folder / "scwhite.nii")
    return shown(grey, np.clip(grey.voxels + white.voxels, 0, 1))


def shown(volume: Volume, tissue: Field) -> Volume:
    spacing = volume.spacing_mm

    def near(mask: Mask) -> Mask:
        return np.stack([ndimage.distance_transform_edt(~plane, sampling=spacing) <= CLOSE_MM for plane in mask])

    body = tissue > 0.5
    closed = body | ~near(~near(body))
    hull = np.stack([ndimage.binary_fill_holes(plane) for plane in closed])
    return replace(volume, voxels=np.where(hull, 0.5 + 0.5 * tissue, 0).astype(np.float32))


def lay(picture: Volume, mean: Volume) -> Placement:
    """A person's picture on the mean head.

    Raises:
        RuntimeError: they do not fit.
    """
    coarse = thinned(picture, 2)
    placed = align(coarse, np.ones(coarse.voxels.shape, np.bool_), mean)
    if placed is None:
        raise RuntimeError("A label map cannot be laid on the mean head.")
    return placed


def brought(person: Volume, placed: Placement, mean: Volume, *, order: Literal[0, 1] = 1) -> Field:
    """What a person has at the mean head's voxels."""
    places = place_of(mean, np.indices(mean.voxels.shape).astype(np.float64))
    index = index_of(person, (places - placed.shift) @ np.linalg.inv(placed.matrix).T)
    return np.asarray(ndimage.map_coordinates(person.voxels, index, order=order), np.float32)


def draw(placed: list[tuple[Volume, Placement]], mean: Volume) -> NDArray[np.uint8]:
    """The territory of every voxel of the mean head, 0 far outside."""
    votes = np.zeros((1 + len(Territory), *mean.voxels.shape), np.uint8)
    for person, where in placed:
        numbers = brought(person, where, mean, order=0).astype(np.int16)
        votes[0] += np.isin(numbers, CEREBRUM)
        for territory, supplied in SUPPLIED.items():
            votes[territory] += np.isin(numbers, supplied)
    x, y, z = np.moveaxis(place_of(mean, np.indices(mean.voxels.shape).astype(np.float64)), -1, 0)
    choice = votes.argmax(axis=0)
    drawn = np.where(choice > 0, choice, cerebral(x, -y, z))
    known = votes.sum(axis=0) * 2 >= len(placed)
    away, nearest = ndimage.distance_transform_edt(~known, sampling=mean.slab_mm[0], return_indices=True)
    return np.where(away <= REACH_MM, drawn[tuple(nearest)], 0).astype(np.uint8)


def cerebral(x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The artery of cortex and white matter at places in MNI millimetres (right or left, anterior, superior)."""
    side = np.abs(x)
    # Anterior: the medial surface and a strip of the convexity up to the superior frontal sulcus; from there the
    # border runs down to the roof of the lateral ventricle. Lower down, in front, to the medial orbital sulcus.
    strip = np.interp(y, (-70, -50, -20, 10, 40, 60), (16, 19, 18, 22, 25, 22))
    below = np.interp(y, (0, 5, 20, 35, 50, 70), (0, 8, 12, 15, 18, 20))
    sloped = np.minimum(strip, np.maximum(12 + 0.55 * (z - 20), below))
    anterior = side < np.where(z >= 20, sloped, below)
    # Posterior: behind the parieto-occipital sulcus and under the splenium.
    width = np.interp(y, (-100, -90, -75, -60, -42), (36, 33, 28, 22, 18))
    behind = np.where(z >= 20, y < -64 - 0.75 * (z - 20), y < -42) & (side < width)
    # ... the lower surface of the temporal lobe, to the inferior temporal gyrus.
    floor = np.interp(y, (-90, -75, -60, -40, -10), (0, -2, -7, -12, -14)) - 0.6 * np.maximum(side - 30, 0)
    under = (z < floor) & (y < -8)
    # ... and what lies around thalamus and hippocampus.
    core = (z < 20) & (y < 0) & (side < np.where(y < -25, 18, 14))
    inner = core | ((z < -4) & (y < -10) & (side < 31))
    posterior = behind | under | inner
    artery = np.where(anterior, Territory.ACA, Territory.MCA)
    return np.where(posterior, Territory.PCA, artery).astype(np.uint8)


if __name__ == "__main__":
    main()
