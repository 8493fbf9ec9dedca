"""docs/performance.md, from bench-results: `python -m load_tests.page > docs/performance.md`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from load_tests.record import FOLDER

_INTRODUCTION = """\
# Performance

Written by `python -m load_tests.page > docs/performance.md` from [bench-results](../bench-results), which `make bench`
(`BENCH=name` for one) writes. Ratios are taken within one run. Machines differ and this one was shared: compare ratios,
not seconds. No test asserts a time.
"""

_WHERE = Path(__file__).with_name("what_ran_where.md")
_TITLES = {
    "flag": "From the last instance to the flag",
    "load": "A hospital's busiest ten minutes",
    "capacity": "The capacity model against that run",
    "loop": "From corrections to a better version",
    "active-learning": "Which studies to correct next",
    "chaos": "What breaks, and what is lost",
    "intake": "Intake",
    "ich": "A head CT, step by step",
    "models": "The MR models, step by step",
    "serving": "What serving costs",
    "parity": "The same answers on every engine",
    "worklist": "From a flag's commit to the worklist",
    "viewer": "The quick viewer",
    "editor": "Drawing in the editor",
}


def page(folder: Path = FOLDER) -> str:
    """The whole page; a bench without a result has no section."""
    results = [folder / f"{name}.json" for name in _TITLES]
    sections = [_section(json.loads(path.read_text(encoding="utf-8"))) for path in results if path.exists()]
    return "\n".join([_INTRODUCTION, _WHERE.read_text(encoding="utf-8"), *sections])


def _section(result: dict[str, Any]) -> str:
    machine, versions = result["machine"], result["versions"]
    rows = [f"| {figure['what']} | {figure['value']:g} | {figure['unit']} |" for figure in result["figures"]]
    return "\n".join(
        [
            f"## {_TITLES[result['bench']]}",
            "",
            f"`{result['command']}`, {result['at'][:10]}, commit {result['commit']}. {result['conditions']}",
            "",
            "| | | |",
            "|---|---:|---|",
            *rows,
            "",
            *_table(result.get("data", {}).get("rows", [])),
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB, {machine['system']}; load "
            f"average {machine['load_average'][0]:g} at the end. {', '.join(f'{k} {v}' for k, v in versions.items())}.",
            "",
        ]
    )


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What a bench did one by one; columns as the first row names them."""
    if not rows:
        return []
    names = list(rows[0])
    said = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    heads = [name.removesuffix("_s") + ", s" if name.endswith("_s") else name for name in names]
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(names)}", *(f"| {' | '.join(row)} |" for row in said), ""]


if __name__ == "__main__":
    print(page(), end="")
