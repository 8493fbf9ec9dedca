"""What `nightjar evaluate` does with releases and with two versions of a model."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from services.console import out
from services.errors import SettingsError

if TYPE_CHECKING:
    from services.datasets.evaluation.cases import Study
    from services.datasets.evaluation.run import Evaluation


def released_studies(folder: Path, split: str, task: str, version: str | None) -> tuple["Study", ...]:
    """The studies of a release's split, as the model reads them."""
    from models.registry import load_card
    from services.datasets.evaluation.cases import Study
    from services.datasets.release.lessons import open_release

    release, card = open_release(folder), load_card(task, version)
    values = {label.name: label.value for label in card.labels}
    if strange := sorted(name for name, value in release.labels.items() if values.get(name) != value):
        raise SettingsError(f"--release {folder}: {', '.join(strange)} is no label of {card.name} with this value.")
    roles = [entry.role for entry in card.inputs]
    studies = tuple(
        Study(study.name, {role: study.images[role] for role in roles if role in study.images}, study.mask)
        for study in release.studies
        if study.split == split
    )
    if not studies:
        raise SettingsError(f"--release {folder}: nobody in it is in the split {split}. Name another --split.")
    return studies


def write_comparison(new: "Evaluation", old: "Evaluation", out_dir: Path) -> dict[str, Any]:
    """What changed between two versions, also written as comparison.json."""
    from services.datasets.evaluation.comparing import compare

    labels = compare(new.cases, old.cases, [label.name for label in new.card.labels])
    content = {
        "new": {"version": new.card.version, "weights_sha256": new.card.weights.sha256},
        "old": {"version": old.card.version, "weights_sha256": old.card.weights.sha256},
        "labels": {name: asdict(found) for name, found in labels.items()},
    }
    (out_dir / "comparison.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return content


def show_comparison(content: dict[str, Any]) -> None:
    new, old = content["new"]["version"], content["old"]["version"]
    table = Table(
        "", "Studies", f"Dice\n{old}", f"Dice\n{new}", "p", "Found, lost", "False: more, fewer", title_justify="left"
    )
    for name, found in content["labels"].items():
        dice = [f"{found[key]:.3f}" if found[key] is not None else "–" for key in ("dice_old", "dice_new")]
        p = "–" if found["p"] is None else f"{found['p']:.2g}"
        table.add_row(
            name, str(found["studies"]), *dice, p, f"{found['found']}, {found['lost']}",
            f"{found['false_gained']}, {found['false_lost']}",
        )  # fmt: skip
    out.print(table)
