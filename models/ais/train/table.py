"""Evaluations of one data set side by side, as Markdown: python -m models.ais.train.table TITLE=DIR ...

DIR is what `nightjar evaluate --out` wrote.
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

LABEL = "ischaemic core"
Row = dict[str, str]
Strata = dict[str, Callable[[Row], bool]]

STRATA: Strata = {
    "slices up to 4 mm": lambda row: float(row["thickness_mm"]) <= 4,
    "slices over 4 mm": lambda row: float(row["thickness_mm"]) > 4,
    "under 1 mL": lambda row: _ml(row) < 1,
    "1 to 5 mL": lambda row: 1 <= _ml(row) < 5,
    "5 mL and more": lambda row: _ml(row) >= 5,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Put evaluations side by side.")
    parser.add_argument("reports", nargs="+", metavar="TITLE=DIR")
    arguments = parser.parse_args()
    reports = {title: Path(folder) for title, _, folder in (entry.partition("=") for entry in arguments.reports)}
    print("\n".join(table(reports)))


def table(reports: dict[str, Path]) -> Iterable[str]:
    """Lines of the two tables."""
    columns = [_figures(folder) for folder in reports.values()]
    yield f"| | Studies | {' | '.join(reports)} |"
    yield "|---|---:|" + "---|" * len(columns)
    for (name, studies), *values in zip(columns[0], *(column.values() for column in columns), strict=True):
        yield f"| {name} | {studies} | {' | '.join(values)} |"
    yield ""
    strokes = [[row for row in _rows(folder) if row[f"{LABEL} truth"] == "1"] for folder in reports.values()]
    yield f"| Strokes | Studies | {' | '.join(f'{title}: flagged, median Dice' for title in reports)} |"
    yield "|---|---:|" + "---|" * len(columns)
    for name, belongs in STRATA.items():
        parts = [[row for row in rows if belongs(row)] for rows in strokes]
        shown = [
            f"{sum(row[f'{LABEL} finding'] == '1' for row in part)}, {_short(median(_dice(row) for row in part))}"
            for part in parts
            if part
        ]
        if shown:
            yield f"| {name} | {len(parts[0])} | {' | '.join(shown)} |"


def _figures(folder: Path) -> dict[tuple[str, int], str]:
    """What is said, of how many studies, by one evaluation."""
    found = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["labels"][LABEL]
    seen, volume, overlap = found["detection"], found["volume"], found["overlap"]
    with_it, without = seen["positives"], seen["negatives"]
    figures = {
        ("stroke flagged: sensitivity", with_it): _share(seen["sensitivity"]),
        ("specificity", without): _share(seen["specificity"]),
        ("study AUC", with_it + without): _share(seen["auc"]),
        ("most marked where there is none", without): f"{found['largest_false_ml'] or 0:.1f} mL",
    }
    if overlap is not None and volume is not None:
        bias = volume["bland_altman"]["bias"]["value"]
        figures |= {
            ("Dice, a missed core as 0", with_it): _quartiles(overlap["dice"]),
            ("lesion-wise F1", with_it): _quartiles(overlap["lesion_f1"]),
            ("absolute volume difference, mL", with_it): _quartiles(volume["absolute_error_ml"], digits=1),
            ("volume ICC(2,1); bias", with_it): f"{_share(volume['icc'])}; {_signed(bias)}",
            ("HD95 where found, mm", with_it): _quartiles(overlap["hd95_mm"], digits=1),
        }
    return figures


def _rows(folder: Path) -> list[Row]:
    with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _ml(row: Row) -> float:
    return float(row[f"{LABEL} truth mL"])


def _dice(row: Row) -> float:
    return float(row[f"{LABEL} Dice"] or 0)


def _share(value: dict[str, Any] | None) -> str:
    if value is None or value["value"] is None:
        return "–"
    return f"{_short(value['value'])} ({_short(value['lower'])} to {_short(value['upper'])})"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f} mL"


def _quartiles(value: dict[str, float | None] | None, *, digits: int = 2) -> str:
    if value is None:
        return "–"
    middle, first, third = (_short(value[name], digits) for name in ("median", "first", "third"))
    return f"median {middle} ({first} to {third})"


def _short(value: float | None, digits: int = 2) -> str:
    """A number as the pages write it: .87; a dash where the cases do not allow one."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0.") and digits == 2 else text


if __name__ == "__main__":
    main()
