"""Measure the committed model on synthetic heads it never saw.

python -m models.ich.train.measure --labelmaps DIR --out FILE

Held-out label maps and drawn heads, cut as a scanner would, through the whole model as it is served. The figures say
how well the network learned what it was taught; they are not accuracy on patients.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from models.ich.train.pool import VALIDATION_SHARE, draw_bleeds
from models.prediction import Prediction
from models.registry import load_model
from models.synthesis.anatomy import draw_head
from models.synthesis.appearance import paint
from models.synthesis.bleeding import SUBTYPES, Space, grow
from models.synthesis.labelmaps import read_labelmap
from models.synthesis.scanner import Acquisition, scan
from models.volume import Volume

SEED = 20_260
DRAWN_SHARE = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the ICH model on synthetic heads it never saw.")
    parser.add_argument("--labelmaps", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--heads", type=int, default=80)
    arguments = parser.parse_args()
    model = load_model("ich")
    rows = []
    for volume, labels in heads(arguments.labelmaps, arguments.heads):
        started = time.perf_counter()
        prediction = model.predict({"NCCT": volume})
        rows.append(compare(volume, labels, prediction, time.perf_counter() - started))
    report = {"model": model.card.version, "heads": len(rows), "on": "synthetic heads", **summarise(rows)}
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


def heads(labelmaps: Path, count: int) -> Iterator[tuple[Volume, NDArray[np.uint8]]]:
    """Scanned heads and their bleeds; label maps are those that training held out."""
    maps = sorted(labelmaps.glob("*.nii.gz"))
    held_out = [Space.of(read_labelmap(path)) for path in maps[-max(1, round(len(maps) * VALIDATION_SHARE)) :]]
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        drawn = rng.random() < DRAWN_SHARE
        space = Space.of(draw_head(rng)) if drawn else held_out[rng.integers(len(held_out))]
        labels = grow(space, draw_bleeds(rng), rng)
        acquisition = Acquisition(
            rows=256,
            columns=256,
            pixel_spacing_mm=0.9,
            slices=32,
            step_mm=5.0,
            tilt_deg=float(rng.uniform(-20, 20)),
            rotation_deg=(rng.normal(0, 5), rng.normal(0, 3), rng.normal(0, 5)),
            noise_hu=float(rng.uniform(2, 5)),
        )
        yield scan(paint(space, labels, rng), labels, acquisition, rng)


def compare(volume: Volume, labels: NDArray[np.uint8], prediction: Prediction, seconds: float) -> dict[str, Any]:
    """Truth and answer of one head, by subtype."""
    found = {finding.label for finding in prediction.findings}
    row: dict[str, Any] = {"seconds": seconds, "false_ml": 0.0, "bleeds": bool(labels.any()), "flag": bool(found)}
    row["false_ml"] = volume.measure_ml((prediction.segmentation > 0) & (labels == 0))
    for value, label in enumerate(SUBTYPES, start=1):
        truth, answer = labels == value, prediction.segmentation == value
        row[label] = {
            "truth_ml": volume.measure_ml(truth),
            "answer_ml": volume.measure_ml(answer),
            "overlap_ml": volume.measure_ml(truth & answer),
            "probability": prediction.probabilities[label],
            "found": label in found,
        }
    return row


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Per subtype: study AUC; sensitivity and specificity at the operating point; Dice and volume error where it is."""
    summary: dict[str, Any] = {}
    for label in SUBTYPES:
        with_it = [row[label] for row in rows if row[label]["truth_ml"] > 0]
        without = [row[label] for row in rows if row[label]["truth_ml"] == 0]
        dice = [2 * r["overlap_ml"] / (r["truth_ml"] + r["answer_ml"]) for r in with_it]
        error = [abs(r["answer_ml"] - r["truth_ml"]) for r in with_it]
        summary[label] = {
            "studies": len(with_it),
            "auc": _auc([r["probability"] for r in with_it], [r["probability"] for r in without]),
            "sensitivity": _share([r["found"] for r in with_it]),
            "specificity": _share([not r["found"] for r in without]),
            "median_dice": _median(dice),
            "median_volume_error_ml": _median(error),
        }
    clear = [row for row in rows if not row["bleeds"]]
    return {
        "any": {
            "sensitivity": _share([row["flag"] for row in rows if row["bleeds"]]),
            "specificity": _share([not row["flag"] for row in clear]),
            "median_false_ml_without_bleed": _median([row["false_ml"] for row in clear]),
        },
        "subtypes": summary,
        "median_seconds": _median([row["seconds"] for row in rows]),
    }


def _auc(positive: list[float], negative: list[float]) -> float | None:
    if not positive or not negative:
        return None
    return round(float(mannwhitneyu(positive, negative).statistic) / (len(positive) * len(negative)), 3)


def _share(values: list[bool]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _median(values: list[float]) -> float | None:
    return round(float(np.median(values)), 3) if values else None


if __name__ == "__main__":
    main()
