"""Regions of the tumour model against their truths, with all sequences and without each: the tables of its page.

python -m models.tumour.train.score DIR --out FILE

DIR is what models.tumour.train.heldout wrote. Prints the tables as Markdown and writes every study's figures as JSON.
Where the T1c is left away, everything stays on its grid, so that the same truth holds.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from models.nifti import read_nifti
from models.registry import load_model
from models.tumour.mark import BODY, ENHANCING, mark
from models.tumour.model import TumourModel
from models.tumour.network import ROLES, read
from models.tumour.preprocess import prepare

REGIONS = {"whole tumour": (1, 2, 3, 5), "tumour body": BODY, "enhancing tumour": (ENHANCING,)}
LEAST_ML = 0.2
"""Regions smaller than this are not scored."""

Row = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description="Score the regions of the tumour model.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    model = load_model("tumour", threads=arguments.threads)
    if not isinstance(model, TumourModel):
        raise SystemExit("Another model serves as tumour here: nightjar model rollback tumour.")
    with (arguments.data / "truth" / "studies.csv").open(encoding="utf-8") as file:
        studies = list(csv.DictReader(file))
    rows = [row for study in track(studies, "Scoring") for row in score(arguments.data, study, model)]
    arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(rows)))


def score(data: Path, study: Mapping[str, str], model: TumourModel) -> Iterator[Row]:
    """One study, with all sequences and, where it shows a tumour, without each."""
    folder = data / "images" / study["study"]
    inputs = {role: read_nifti(folder / f"{role}.nii.gz")[0] for role in ROLES}
    truth = read_nifti(data / "truth" / f"{study['study']}.nii.gz")[0].voxels.astype(np.uint8)
    sequences = prepare(inputs)
    for lacking in ("", *(ROLES if truth.any() else ())):
        given = {role: image for role, image in sequences.images.items() if role != lacking}
        maps = read(model.engine, model.card, given, sequences.head)
        contrast = lacking != "T1c"
        marks = mark(maps.regions, sequences.volume, model.thresholds, contrast=contrast)
        row: Row = {"study": study["study"], "tumour": study["tumour"], "lacking": lacking}
        for name, values in REGIONS.items():
            answer, there = np.isin(marks.labels, values), np.isin(truth, values)
            row[name] = {
                "truth_ml": sequences.volume.measure_ml(there),
                "answer_ml": sequences.volume.measure_ml(answer),
                "dice": _dice(answer, there),
            }
        yield row


def _dice(answer: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float | None:
    total = int(answer.sum() + truth.sum())
    return float(2 * (answer & truth).sum() / total) if total else None


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Median Dice of each region: by what is missing, then by kind of tumour."""
    yield f"| Tumours | Studies | {' | '.join(REGIONS)} |"
    yield "|---|---:|" + "---:|" * len(REGIONS)
    groups = {
        "all four sequences": [row for row in rows if row["lacking"] == ""],
        **{f"without {role}": [row for row in rows if row["lacking"] == role] for role in ROLES},
    }
    kinds = sorted({str(row["tumour"]) for row in rows} - {"none"})
    groups |= {kind: [row for row in groups["all four sequences"] if row["tumour"] == kind] for kind in kinds}
    for name, group in groups.items():
        shown = [row for row in group if row["tumour"] != "none"]
        if shown:
            figures = (_figure(shown, region, divided=name != "without T1c") for region in REGIONS)
            yield f"| {name} | {len(shown)} | {' | '.join(figures)} |"
    healthy = [_ml(row, "whole tumour", "answer_ml") for row in groups["all four sequences"] if row["tumour"] == "none"]
    if healthy:
        yield ""
        yield (
            f"Marked where there is no tumour: in {sum(ml > 0 for ml in healthy)} of {len(healthy)} studies, "
            f"median {median(healthy):.1f} mL, at most {max(healthy):.1f} mL."
        )


def _figure(rows: Sequence[Row], region: str, *, divided: bool) -> str:
    if region == "enhancing tumour" and not divided:
        return "not answered"
    scores = [_dice_of(row, region) for row in rows if _ml(row, region, "truth_ml") >= LEAST_ML]
    return f"{median(scores):.2f} ({len(scores)})" if scores else "-"


def _of(row: Row, region: str) -> Mapping[str, float | None]:
    found = row[region]
    assert isinstance(found, dict)
    return found


def _ml(row: Row, region: str, what: str) -> float:
    return float(_of(row, region)[what] or 0)


def _dice_of(row: Row, region: str) -> float:
    return float(_of(row, region)["dice"] or 0)


if __name__ == "__main__":
    main()
