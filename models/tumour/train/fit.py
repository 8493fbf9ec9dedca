"""What the network's answers mean: python -m models.tumour.train.fit POOL [--apart DIR]

Runs the network over the `fit` cases of a pool and over what models.tumour.train.heldout --fitting wrote, whose persons
it never saw, with all sequences and without the T1c, and writes into the card:

- the probability from which on a voxel belongs to each region: that of the highest mean Dice over the tumours;
- how much the signs weigh in each label's probabilities of slice and study (`models.evidence`), and the operating point
  that leaves SPECIFICITY of the studies without the label unflagged.
"""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.special import expit

from models.card import Card
from models.engines import Engine, open_engine
from models.evidence import Signs, read_signs
from models.fitting import logistic
from models.midline import midline_shift_mm
from models.nifti import read_nifti
from models.registry import FOLDER, load_card
from models.tumour.mark import ENHANCING, NON_ENHANCING, OEDEMA, UNDIVIDED
from models.tumour.model import DIVIDED, NOT_DIVIDED
from models.tumour.network import REGIONS, ROLES, Maps, head_of, read, slices_apart
from models.tumour.preprocess import prepare
from models.tumour.train import scanner
from models.tumour.train.heldout import marks_of
from models.tumour.train.pool import INSIDE, LEFT, VENTRICLES, Case
from models.volume import Volume

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
REGION_BITS = (scanner.WHOLE, scanner.BODY, scanner.ENHANCING)
THRESHOLD_OF = (OEDEMA, NON_ENHANCING, ENHANCING)
"""The label whose entry in the card holds a region's threshold."""

SPECIFICITY = 0.9
"""Of each label by itself; a flag that is missed costs more than one too many."""

SEEN_ML, STUDY_ML = 0.1, 0.3
"""A slice, and a study, show a label from so much on; less says nothing either way."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Looked:
    """What the network made of one study.

    Attributes:
        dice: (regions, thresholds), NaN where the study does not show the region.
        signs: by label.
        slices_ml: by label, its volume in each slice that was looked at.
        shift_mm: of the midline, as said and by the same rule on the true halves; None where these are not known.
    """

    dice: NDArray[np.float64]
    signs: dict[int, Signs]
    slices_ml: dict[int, NDArray[np.float64]]
    shift_mm: tuple[float, float] | None


@dataclass(frozen=True)
class Fitted:
    """What goes into the card for one label."""

    slices: list[float]
    study: list[float]
    point: float
    threshold: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit thresholds and probabilities of the tumour model.")
    parser.add_argument("pool", type=Path)
    parser.add_argument("--apart", type=Path, help="what models.tumour.train.heldout --fitting wrote")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    folder, card = FOLDER / "tumour", load_card("tumour")
    cases = sorted(arguments.pool.glob("fit-*.npz"))
    if not cases:
        raise SystemExit(f"There are no cases to fit on in {arguments.pool}: let models.tumour.train.pool make more.")
    engine = open_engine(folder / card.weights.file, threads=arguments.threads)
    looked = [look(case.volumes(), case.marks, card, engine) for case in map(Case.load, track(cases, "Analysing"))]
    if arguments.apart is not None:
        truths = sorted((arguments.apart / "truth").glob("*.nii.gz"))
        looked += [look_at_study(arguments.apart, path, card, engine) for path in track(truths, "Analysing")]
    dice = np.nanmean([one.dice for one in looked], axis=0)
    for name, row in zip(("whole", "body", "enhancing"), dice, strict=True):
        print(name, "Dice", ", ".join(f"{t}: {d:.3f}" for t, d in zip(THRESHOLDS, row, strict=True)))
    shifts = [one.shift_mm for one in looked if one.shift_mm is not None]
    if shifts:
        said, true = np.array(shifts).T
        off = np.abs(said - true)
        print(
            f"Midline shift of {len(shifts)} studies, up to {true.max():.1f} mm: off by {off.mean():.1f} mm in the "
            f"mean, {np.median(off):.1f} median; r {np.corrcoef(said, true)[0, 1]:.2f}"
        )
    fitted = fit(looked, dice)
    enter(folder / "model.yaml", fitted)
    for value, label in fitted.items():
        print(value, label)


def look_at_study(folder: Path, truth: Path, card: Card, engine: Engine) -> Looked:
    """Run one study as from a scanner."""
    name = truth.name.removesuffix(".nii.gz")
    inputs = {role: read_nifti(folder / "images" / name / f"{role}.nii.gz")[0] for role in ROLES}
    marks = marks_of(read_nifti(truth)[0].voxels.astype(np.uint8))
    return look(prepare(inputs).images, marks, card, engine)


def look(images: Mapping[str, Volume], marks: NDArray[np.uint8], card: Card, engine: Engine) -> Looked:
    """Run the network on sequences that lie on one grid, as do the bits of their truth."""
    grid = images[ROLES[0]]
    whole, body, enhancing = ((marks & bit) > 0 for bit in REGION_BITS)
    truths = {NON_ENHANCING: body & ~enhancing, OEDEMA: whole & ~body, ENHANCING: enhancing, UNDIVIDED: body}
    dice = np.full((REGIONS, len(THRESHOLDS)), np.nan)
    signs: dict[int, Signs] = {}
    slices_ml: dict[int, NDArray[np.float64]] = {}
    apart = slices_apart(grid, card.preprocess)
    shift_mm = None
    for contrast in (True, False):
        given = {role: image for role, image in images.items() if contrast or role != "T1c"}
        maps = read(engine, card, given, head_of(next(given[role] for role in ROLES if role in given).voxels))
        of_labels = read_signs(maps.of_labels(contrast=contrast), maps.voxel_ml)
        # Slices that were not looked at are not fitted on.
        for value, sign in zip(DIVIDED if contrast else NOT_DIVIDED, of_labels, strict=True):
            if contrast or value == UNDIVIDED:
                signs[value] = sign
                slices_ml[value] = truths[value][maps.looked].sum(axis=(1, 2)) * grid.voxel_ml[maps.looked] * apart
        if contrast:
            shift_mm = _shift(maps, marks, card.preprocess.spacing_mm)
            for region, truth in enumerate((whole, body, enhancing)):
                if truth.any():
                    dice[region] = [_dice(maps.regions[region] >= t, truth) for t in THRESHOLDS]
    return Looked(dice, signs, slices_ml, shift_mm)


def _shift(maps: Maps, marks: NDArray[np.uint8], spacing_mm: float) -> tuple[float, float] | None:
    """Of the midline, as said and as true; marks without halves have none. The pool's grid is the network's view."""
    inside, ventricles, left = ((marks & bit) > 0 for bit in (INSIDE, VENTRICLES, LEFT))
    true = midline_shift_mm(inside, left.astype(np.float32), ventricles.astype(np.float32), spacing_mm)
    said = midline_shift_mm(maps.inside, maps.left, maps.ventricles, spacing_mm)
    return None if true is None or said is None else (said, true)


def _dice(answer: Mask, truth: Mask) -> float:
    return float(2 * (answer & truth).sum() / (answer.sum() + truth.sum()))


def fit(looked: list[Looked], dice: NDArray[np.float64]) -> dict[int, Fitted]:
    """Weights, operating point and threshold of every label."""
    result = {}
    for value in (NON_ENHANCING, OEDEMA, ENHANCING, UNDIVIDED):
        slabs = np.concatenate([one.signs[value].slabs for one in looked])
        slices_ml = np.concatenate([one.slices_ml[value] for one in looked])
        clear = (slices_ml == 0) | (slices_ml >= SEEN_ML)
        total_ml = np.array([one.slices_ml[value].sum() for one in looked])
        sure = (total_ml == 0) | (total_ml >= STUDY_ML)
        studies = np.stack([one.signs[value].study for one in looked])[sure]
        shown = total_ml[sure] > 0
        study = logistic(studies, shown)
        p = expit(study[0] + studies @ np.array(study[1:]))
        result[value] = Fitted(
            logistic(slabs[clear], slices_ml[clear] > 0),
            study,
            round(float(np.quantile(p[~shown], SPECIFICITY)), 3),
            THRESHOLDS[int(dice[THRESHOLD_OF.index(value)].argmax())] if value in THRESHOLD_OF else None,
        )
    return result


def enter(card: Path, fitted: dict[int, Fitted]) -> None:
    """Set what was fitted in the card, leaving all else and its comments as they are."""
    text = card.read_text(encoding="utf-8")
    text = re.sub(r"^    evidence: .*\n", "", text, flags=re.MULTILINE)
    for value, label in fitted.items():
        begin = text.index(f"  - value: {value}\n")
        end = begin + re.search(r"\n(?=  - value:|[a-z])", text[begin:]).start() + 1  # type: ignore[union-attr]
        entry = text[begin:end]
        entry = re.sub(r"(operating_point: \{probability: )[\d.]+", rf"\g<1>{label.point}", entry)
        entry += f"    evidence: {{slice: {label.slices}, study: {label.study}}}\n"
        if label.threshold is not None:
            entry = re.sub(r"(    threshold: ).*", rf"\g<1>{label.threshold}", entry)
        text = text[:begin] + entry + text[end:]
    card.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
