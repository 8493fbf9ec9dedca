"""What the answers of both methods mean: python -m models.ais.train.fit POOL

Runs both over the `fit` cases of a pool, whose persons the network never saw, and writes into the card and the rule's
file:

- the probability from which on a voxel is core: that of the highest mean of Dice and lesion-wise F1 over the strokes,
  among those that mark at most MOST_FALSE_ML in every study without one;
- how much the signs weigh in the probabilities of slice and study (`models.evidence`), and the operating point that
  leaves SPECIFICITY of the studies without a stroke unflagged;
- for adc620, the share of strokes among studies with a core, and among those without, one study of each kind added.
"""

import argparse
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage
from scipy.special import expit

from models.ais.adc620 import Numbers, find_core, read_numbers
from models.ais.core import NEIGHBOURS, Core
from models.ais.mark import mark
from models.ais.network import probabilities
from models.ais.preprocess import prepare
from models.ais.train.pool import CORE, Case
from models.card import Card
from models.engines import Engine, open_engine
from models.errors import InvalidVolume
from models.evidence import Signs, read_signs
from models.fitting import logistic
from models.registry import FOLDER, load_card

THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MOST_FALSE_ML = 1.0
SPECIFICITY = 0.9
"""On the fitting studies .95 left a fifth of the strokes unflagged, .9 one in seventeen."""
SEEN_VOXELS = 4
"""A slice shows core from this many voxels on; fewer say nothing either way."""

SEEN_ML = 0.05
"""Likewise a study."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Looked:
    """What the methods made of one study.

    Attributes:
        truth: core, (slice, row, column).
        false_ml: what the network marks where there is none, by threshold.
        scores: Dice and lesion-wise F1 by threshold; none without a stroke.
        signs: of the network's probabilities.
        ruled: the rule found a core.
    """

    truth: Mask
    truth_ml: float
    false_ml: dict[float, float]
    scores: dict[float, tuple[float, float]]
    signs: Signs
    ruled: bool


@dataclass(frozen=True)
class Fitted:
    """What goes into the card and the rule's file."""

    threshold: float
    slices: list[float]
    study: list[float]
    point: float
    flagged: float
    unflagged: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit threshold and probabilities of the AIS model.")
    parser.add_argument("pool", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    folder, card = FOLDER / "ais", load_card("ais")
    cases = sorted(arguments.pool.glob("fit-*.npz"))
    if not cases:
        raise SystemExit(f"There are no cases to fit on in {arguments.pool}: let models.ais.train.pool make more.")
    engine = open_engine(folder / card.weights.file, threads=arguments.threads)
    numbers = read_numbers(folder / card.baselines["adc620"].file)
    looked = [one for path in track(cases, "Analysing") if (one := look(path, card, engine, numbers)) is not None]
    for threshold in THRESHOLDS:
        print(_line(threshold, looked))
    fitted = fit(looked)
    enter(folder / card.baselines["adc620"].file, folder / "model.yaml", fitted)
    print(fitted)


def look(path: Path, card: Card, engine: Engine, numbers: Numbers) -> Looked | None:
    """Both methods on one case; None where it shows no brain that can be analysed."""
    case = Case.load(path)
    truth = (case.marks & CORE) > 0
    dwi, adc = case.volumes()
    try:
        images = prepare(dwi, adc)
    except InvalidVolume as error:
        print(f"{path.name}: {error}")
        return None
    p = probabilities(engine, card, dwi, images.adc, images.brain)
    cores = {threshold: mark(p, images.adc, images.brain, dwi, threshold) for threshold in THRESHOLDS}
    [signs] = read_signs(np.stack([1 - p, p], axis=1), case.voxel_ml)
    return Looked(
        truth,
        dwi.measure_ml(truth),
        {} if truth.any() else {threshold: dwi.measure_ml(core.mask) for threshold, core in cores.items()},
        {threshold: score(core, truth) for threshold, core in cores.items()} if truth.any() else {},
        signs,
        bool(find_core(images, numbers).lesions_ml),
    )


def score(core: Core, truth: Mask) -> tuple[float, float]:
    """Dice, and F1 of lesions that touch."""
    dice = 2 * (core.mask & truth).sum() / (core.mask.sum() + truth.sum())
    parts, there = ndimage.label(truth, structure=NEIGHBOURS)
    found = len(np.unique(parts[core.mask & truth]))
    right = len(np.unique(core.parts[core.mask & truth]))
    return float(dice), (found + right) / (there + len(core.lesions_ml))


def fit(looked: list[Looked]) -> Fitted:
    """Threshold, weights, operating point and shares."""
    threshold = max(THRESHOLDS, key=lambda t: _worth(t, looked))
    voxels = np.concatenate([one.truth.sum(axis=(1, 2)) for one in looked])
    slabs = np.concatenate([one.signs.slabs for one in looked])
    clear = (voxels == 0) | (voxels >= SEEN_VOXELS)
    sure = [one for one in looked if one.truth_ml == 0 or one.truth_ml >= SEEN_ML]
    strokes = np.array([one.truth_ml > 0 for one in sure])
    studies = np.stack([one.signs.study for one in sure])
    study = logistic(studies, strokes)
    p = expit(study[0] + studies @ np.array(study[1:]))
    point = round(float(np.quantile(p[~strokes], SPECIFICITY)), 3)
    flagged, unflagged = (
        (sum(one.truth.any() for one in looked if one.ruled == answer) + 1)
        / (sum(one.ruled == answer for one in looked) + 2)
        for answer in (True, False)
    )
    return Fitted(threshold, logistic(slabs[clear], voxels[clear] > 0), study, point, flagged, unflagged)


def _worth(threshold: float, looked: list[Looked]) -> tuple[bool, float]:
    allowed = all(one.false_ml[threshold] <= MOST_FALSE_ML for one in looked if one.false_ml)
    scores = [one.scores[threshold] for one in looked if one.scores]
    return allowed, float(np.mean(scores)) if scores else 0.0


def _line(threshold: float, looked: list[Looked]) -> str:
    scores = np.array([one.scores[threshold] for one in looked if one.scores])
    false = [one.false_ml[threshold] for one in looked if one.false_ml]
    dice, f1 = np.median(scores, axis=0) if len(scores) else (np.nan, np.nan)
    return (
        f"{threshold}: Dice {dice:.3f}, lesion-wise F1 {f1:.3f}, at most {max(false, default=0):.2f} mL where none is"
    )


def enter(rule: Path, card: Path, fitted: Fitted) -> None:
    """Set what was fitted in the rule's file and in the card, leaving all else as it is."""
    text = rule.read_text(encoding="utf-8")
    for name, value in (("flagged", fitted.flagged), ("unflagged", fitted.unflagged)):
        text = re.sub(rf"^{name}: .*$", f"{name}: {value:.3f}", text, flags=re.MULTILINE)
    rule.write_text(text, encoding="utf-8")
    digest = hashlib.sha256(rule.read_bytes()).hexdigest()
    described = card.read_text(encoding="utf-8")
    for pattern, entry in (
        (r"^(  adc620: \{.*sha256: )[0-9a-f]{64}", digest),
        (r"^(    threshold: ).*", str(fitted.threshold)),
        (r"^(    evidence: ).*", f"{{slice: {fitted.slices}, study: {fitted.study}}}"),
        (r"^(    operating_point: \{probability: )[\d.]+", str(fitted.point)),
    ):
        described, found = re.subn(pattern, rf"\g<1>{entry}", described, count=1, flags=re.MULTILINE)
        if not found:
            raise RuntimeError(f"{card} has no line for {pattern}.")
    card.write_text(described, encoding="utf-8")


if __name__ == "__main__":
    main()
