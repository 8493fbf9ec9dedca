"""python -m load_tests.accuracy REPORT...: what the models were found to be worth, into bench-results/models.json.

A report is a folder that `nightjar evaluate` wrote. Only those of the versions that ship count: the others are named
and left out. What is there of versions that still ship stays, unless a report is about the same images; the bench
`models` keeps it too.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from load_tests import record
from models.registry import load_shipped

REPORT, KEY = "evaluation.json", "accuracy"
Row = dict[str, Any]
"""One figure: model, version, digest of its weights, what, on, value; interval: of 95 percent, or the quartiles."""

DETECTION = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}
OVERLAP = {"dice": "median Dice", "nsd": "median NSD", "hd95_mm": "median HD95, mm", "lesion_f1": "median lesion F1"}
GAINS = {"psnr_gain_db": "PSNR over sinc, dB", "ssim_gain": "SSIM over sinc"}
SHARES = ("75%", "67%")
"""Of the lines of k-space, those a scan kept."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Figures of evaluations into bench-results/models.json.")
    parser.add_argument("reports", nargs="+", type=Path, metavar="REPORT")
    parser.add_argument("--out", type=Path, default=record.FOLDER, metavar="DIR", help="where models.json is")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for folder in arguments.reports:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        model = report["model"]
        if ships(model["name"], model["weights_sha256"]):
            rows += rows_of(report)
        else:
            print(f"{folder} left out: {model['name']} {model['version']} does not ship.")
    path = arguments.out / "models.json"
    bench = json.loads(path.read_text(encoding="utf-8"))
    anew = {(row["weights"], row["on"]) for row in rows}
    bench["data"] = {KEY: [row for row in kept(arguments.out) if (row["weights"], row["on"]) not in anew] + rows}
    path.write_text(json.dumps(bench, indent=2) + "\n", encoding="utf-8")
    return 0


def kept(folder: Path) -> list[Row]:
    """Rows of an earlier models.json whose weights still ship."""
    path = folder / "models.json"
    if not path.exists():
        return []
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8")).get("data", {}).get(KEY, [])
    return [row for row in rows if ships(row["model"], row["weights"])]


def ships(name: str, digest: str) -> bool:
    """Whether these weights are a shipped card's, of its network or of another method."""
    card = load_shipped(name)
    return card is not None and digest in {each.sha256 for each in (card.weights, *card.baselines.values())}


def rows_of(report: dict[str, Any]) -> Sequence[Row]:
    """The figures of one report that its studies allow."""
    model = report["model"]
    common = {"model": model["name"], "version": model["version"], "weights": model["weights_sha256"]}
    on = report["dataset"] + (" (synthetic)" if report["synthetic"] else "")
    figures = _marks(report) if "labels" in report else _images(report)
    rows = [{**common, "what": what, "on": on, **_value(value)} for what, value in figures]
    return [row for row in rows if row["value"] is not None]


def _marks(report: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for label, found in report["labels"].items():
        if found["detection"]:
            yield from ((f"{label}: {what}", found["detection"][key]) for key, what in DETECTION.items())
        if found["volume"]:
            yield f"{label}: volume ICC(2,1)", found["volume"]["icc"]
            yield f"{label}: median absolute volume error, mL", found["volume"]["absolute_error_ml"]
        if found["overlap"]:
            yield from ((f"{label}: {what}", found["overlap"][key]) for key, what in OVERLAP.items())
        yield f"{label}: most marked where there is none, mL", found["largest_false_ml"]
    for region, found in report.get("regions", {}).items():
        yield f"{region}: Dice, lesion by lesion (BraTS 2023)", found["dice"]
        yield f"{region}: HD95, mm, lesion by lesion (BraTS 2023)", found["hd95_mm"]


def _images(report: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for image, scans in report["studies"].items():
        for share in SHARES:
            yield from ((f"{image}, {share} of the lines: {what}", scans[share][key]) for key, what in GAINS.items())


def _value(found: Any) -> Row:
    """An estimate with its interval, a median with its quartiles, a number, or nothing."""
    if isinstance(found, dict):
        middle = found.get("value", found.get("median"))
        ends = [found.get(one, found.get(other)) for one, other in (("lower", "first"), ("upper", "third"))]
        if middle is None:
            return {"value": None, "interval": None}
        shown = None if None in ends else f"{ends[0]:.3g} to {ends[1]:.3g}"
        return {"value": _short(middle), "interval": shown}
    return {"value": None if found is None else _short(found), "interval": None}


def _short(value: float) -> float:
    return float(f"{value:.3g}")


if __name__ == "__main__":
    sys.exit(main())
