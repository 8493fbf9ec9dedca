"""Fit how much each sign weighs: python -m models.ich.train.fit POOL

Runs the committed network over the pool's `evidence` cases, which it never learned from, fits two logistic functions a
label (slices, studies; see models.evidence) and writes their weights into model.yaml, with the operating point that
leaves SPECIFICITY of the studies without the label unflagged. The point of the same SENSITIVITY is printed beside it.
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.card import Card
from models.engines import Engine, open_engine
from models.evidence import Signs, read_signs
from models.fitting import logistic
from models.ich.maps import ordered, read_maps
from models.ich.preprocess import stacks
from models.ich.train.pool import Case
from models.registry import FOLDER, load_card

SPECIFICITY, SENSITIVITY = 0.95, 0.95
SEEN_VOXELS = 30
"""A slice shows a subtype from this many voxels on (0.2 mL at 5 mm); fewer say nothing either way."""

STUDY_VOXELS = 42
"""Likewise a study, from 0.3 mL."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the weights of the ICH model's signs.")
    parser.add_argument("pool", type=Path)
    arguments = parser.parse_args()
    card = load_card("ich")
    weights = fit(card, sorted(arguments.pool.glob("evidence-*.npz")))
    enter(FOLDER / "ich" / "model.yaml", weights)
    for label, fitted in weights.items():
        print(
            f"{label}: {fitted.positives} studies of {fitted.studies}; flagged from {fitted.specific}; "
            f"{SENSITIVITY:.0%} sensitive from {fitted.sensitive}"
        )


@dataclass(frozen=True)
class Fitted:
    """What was fitted for one label.

    Attributes:
        slices, study: weights, an offset first.
        specific, sensitive: study probabilities from which the label is flagged, at SPECIFICITY and at SENSITIVITY.
    """

    slices: list[float]
    study: list[float]
    specific: float
    sensitive: float
    positives: int
    studies: int


def fit(card: Card, cases: list[Path]) -> dict[str, Fitted]:
    """The weights and points of every label."""
    if not cases:
        raise SystemExit("There are no evidence cases in this pool: let `models.ich.train` make more.")
    engine = open_engine(FOLDER / "ich" / card.weights.file, threads=2)
    labels = ordered(card)
    pixel_ml = card.preprocess.spacing_mm**2 * card.preprocess.slab_mm / 1000
    seen: list[list[tuple[Signs, NDArray[np.int64]]]] = [[] for _ in labels]
    for path in cases:
        case = Case.load(path)
        maps = read_maps(run(card, engine, case.hu), card)
        signs = read_signs(maps.bleeds, pixel_ml)
        for index, label in enumerate(labels):
            seen[index].append((signs[index], (case.labels == label.value).sum(axis=(1, 2))))
    result = {}
    for label, pairs in zip(labels, seen, strict=True):
        slabs = np.concatenate([signs.slabs for signs, _ in pairs])
        voxels = np.concatenate([counts for _, counts in pairs])
        clear = (voxels == 0) | (voxels >= SEEN_VOXELS)
        studies = np.stack([signs.study for signs, _ in pairs])
        totals = np.array([counts.sum() for _, counts in pairs])
        sure = (totals == 0) | (totals >= STUDY_VOXELS)
        study = logistic(studies[sure], totals[sure] > 0)
        p = expit(study[0] + studies[sure] @ np.array(study[1:]))
        with_it, without = p[totals[sure] > 0], p[totals[sure] == 0]
        result[label.name] = Fitted(
            logistic(slabs[clear], voxels[clear] > 0),
            study,
            specific=round(float(np.quantile(without, SPECIFICITY)), 3),
            sensitive=round(float(np.quantile(with_it, 1 - SENSITIVITY)), 3),
            positives=len(with_it),
            studies=len(p),
        )
    return result


def run(card: Card, engine: Engine, hu: NDArray[np.int16]) -> NDArray[np.float32]:
    """A case through the network, which has the network's grid already."""
    settings = card.preprocess
    images = (np.clip(hu.astype(np.float32), *settings.window) - settings.centre) / settings.scale
    shown = stacks(images, settings.neighbours)
    return np.concatenate(
        [engine.run({"slices": shown[n : n + card.batch]})["logits"] for n in range(0, len(shown), card.batch)]
    )


def enter(card: Path, weights: dict[str, Fitted]) -> None:
    """Set evidence and operating point of each label in a card, leaving all else and its comments as they are."""
    text = card.read_text(encoding="utf-8")
    text = re.sub(r"^    evidence: .*\n", "", text, flags=re.MULTILINE)
    for label, fitted in weights.items():
        line = f"    evidence: {{slice: {fitted.slices}, study: {fitted.study}}}\n"
        pattern = rf"(^    name: {label}\n(?:    .*\n)*?)(?=  - value:|[a-z])"
        text, found = re.subn(pattern, rf"\g<1>{line}", text, count=1, flags=re.MULTILINE)
        point = rf"(^    name: {label}\n(?:    .*\n)*?    operating_point: {{probability: )[\d.]+"
        text, pointed = re.subn(point, rf"\g<1>{fitted.specific}", text, count=1, flags=re.MULTILINE)
        if not (found and pointed):
            raise RuntimeError(f"{card} has no label {label} with an operating point.")
    card.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
