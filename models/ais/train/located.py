"""How well territories are found: python -m models.ais.train.located --labelmaps DIR [--picture FILE]

Persons from label maps that neither training nor the map of territories saw. First their label maps are laid on the
map: how much of each structure lies in the territory that supplies it. Then strokes are put in and scanned: how much of
each core is called as on the person's own anatomy, before noise, thick slices and distortion.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from models.ais.brain import find_midplane, left_of
from models.ais.head import align
from models.ais.preprocess import Diffusion, Mask, prepare
from models.ais.territory import Territory, atlas, locate, read, side_of, supply
from models.ais.train.atlas import SUPPLIED, lay, picture_of, read_person, shown, thinned
from models.ais.train.lesions import draw_infarcts
from models.ais.train.scanner import Grid, sample
from models.ais.train.studies import draw_acquisition, draw_person, labelmap_files, make_study
from models.errors import InvalidVolume
from models.resample import place_of
from models.synthesis.space import Space
from models.synthesis.tissue import BRAIN, VOXEL_MM, Tissue
from models.volume import Volume

SEED = 20_262
STUDIES_A_PERSON = 3
COLOURS = np.array([(0, 0, 0), (70, 130, 255), (235, 80, 70), (80, 200, 90), (240, 200, 60)])


@dataclass(frozen=True, eq=False)
class Located:
    """What was said of one core.

    Attributes:
        truth, found: territory of each of its voxels; found is None where nothing was determined.
        main: the main territory is the true one; None where nothing was determined.
        side: likewise its side, by the anatomy's own halves.
    """

    truth: NDArray[np.uint8]
    found: NDArray[np.uint8] | None
    main: bool | None
    side: bool | None


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how well territories are found.")
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    files = labelmap_files(arguments.labelmaps, held_out=True)
    print(structures(files))
    told, pictures = [], []
    for number in track(range(arguments.studies), "Scanning"):
        person, rng = (np.random.default_rng([arguments.seed, number // STUDIES_A_PERSON, k]) for k in (0, 1 + number))
        if number % STUDIES_A_PERSON == 0:
            space = draw_person(files, person, drawn_share=0)
            truth = territories_of(space)
        grid, sequence = draw_acquisition(rng)
        study = make_study(space, draw_infarcts(rng), [], grid, sequence, rng, flair=False)
        core, true = study.scan.core > 0, scanned(truth, grid)
        core &= true > 0
        try:
            images = prepare(study.scan.dwi, study.scan.adc)
        except InvalidVolume as error:
            print(f"Study {number}: {error}")
            continue
        if not core.any():
            continue
        told.append(judge(images, core, true, scanned(space.anatomy.left.astype(np.uint8), grid) > 0))
        pictures.append((images, true))
    print(words(told))
    if arguments.picture is not None:
        Image.fromarray(draw(pictures)).save(arguments.picture)


def structures(files: list[Path]) -> str:
    """How much of each structure of the label maps lies in its territory."""
    head, territories = atlas()
    right: dict[Territory, list[float]] = {territory: [] for territory in Territory}
    for path in files:
        person = read_person(path)
        placed = lay(picture_of(person), head)
        for territory, numbers in SUPPLIED.items():
            index = np.argwhere(np.isin(person.voxels, numbers)).T.astype(np.float64)
            there = read(territories, placed.apply(place_of(person, index)))
            right[territory].append(float((there == territory).mean()))
    return "; ".join(f"structures of {t.name} in it: {100 * np.mean(shares):.0f} %" for t, shares in right.items())


def territories_of(space: Space) -> NDArray[np.uint8]:
    """The territories on a person's anatomy, laid there without a scanner between."""
    tissue = space.anatomy.tissue
    brain = space.anatomy.mask(*BRAIN)
    heights = np.arange(len(tissue))[:, None] * np.array([0, 0, VOXEL_MM])
    body = Volume(brain.astype(np.float32), heights, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (VOXEL_MM, VOXEL_MM))
    picture = thinned(shown(body, body.voxels), 3)
    head, territories = atlas()
    placed = align(picture, np.ones(picture.voxels.shape, np.bool_), head)
    if placed is None:
        raise RuntimeError("A held-out person cannot be laid on the mean head.")
    places = place_of(body, np.indices(tissue.shape).astype(np.float64))
    found = read(territories, placed.apply(places))
    found[tissue == Tissue.CEREBELLUM] = Territory.VERTEBROBASILAR
    return np.where(brain, found, 0).astype(np.uint8)


def scanned(numbers: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """Numbers of the anatomy on a scanner's grid: in each voxel the one that most of it has."""
    kinds = np.unique(numbers)
    parts = [sample((numbers == kind).astype(np.float32), grid, blur=False, layers=1) for kind in kinds]
    return np.asarray(kinds[np.argmax(parts, axis=0)], np.uint8)


def judge(images: Diffusion, core: Mask, truth: NDArray[np.uint8], left: Mask) -> Located:
    """Hold what is said of a core against the truth."""
    said = supply(images, core, left_of(images.volume, find_midplane(images.volume, images.brain)))
    there = truth[core]
    if not said["main territory"]:
        return Located(there, None, None, None)
    main = int(np.bincount(there).argmax())
    side = side_of(float(np.mean(left[core & (truth == main)])))
    same = int(said["main territory"]) == main
    return Located(there, locate(images, core), same, int(said["side of main territory"]) == side if same else None)


def words(told: list[Located]) -> str:
    """The figures."""
    known = [one for one in told if one.found is not None]
    shares = [float(np.mean(one.found == one.truth)) for one in known]
    lines = [
        f"{len(told)} cores, {len(told) - len(known)} not determined",
        f"voxels called as on the person's own anatomy: median {100 * np.median(shares):.0f} %, "
        f"lower quartile {100 * np.quantile(shares, 0.25):.0f} %, least {100 * min(shares):.0f} %",
        f"main territory right: {sum(bool(one.main) for one in known)} of {len(known)}; its side: "
        f"{sum(bool(one.side) for one in known)} of {sum(one.side is not None for one in known)}",
    ]
    truth, found = (np.concatenate([getattr(one, name) for one in known]) for name in ("truth", "found"))
    lines += [
        f"{t.name}: {100 * (found[truth == t] == t).mean():.0f} % of {(truth == t).sum()} voxels"
        for t in Territory
        if (truth == t).any()
    ]
    return "\n".join(lines)


def draw(pictures: list[tuple[Diffusion, NDArray[np.uint8]]], columns: int = 6) -> NDArray[np.uint8]:
    """Some of the brains with the territories found, above, and those of the person's own anatomy, below."""
    tiles = []
    for images, truth in pictures[:: max(1, len(pictures) // columns)][:columns]:
        found = locate(images, images.brain)
        called = np.zeros(truth.shape, np.uint8)
        called[images.brain] = 0 if found is None else found
        rows = []
        for share in (0.3, 0.5, 0.7):
            shown_slices = np.flatnonzero(images.brain.any(axis=(1, 2)))
            k = shown_slices[int(share * (len(shown_slices) - 1))]
            for map_ in (called, truth):
                grey = np.clip(images.signal[k] / 1.8, 0, 1)[..., None] * 255
                plane = np.where((map_[k] > 0)[..., None], 0.6 * grey + 0.4 * COLOURS[map_[k]], grey)
                rows.append(np.asarray(Image.fromarray(plane.astype(np.uint8)).resize((190, 190))))
        tiles.append(np.concatenate(rows))
    return np.concatenate(tiles, axis=1)


if __name__ == "__main__":
    main()
