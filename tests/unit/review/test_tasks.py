"""Task types as configuration: the shipped ones hold, a site's own are checked line by line."""

from pathlib import Path

import pytest
import yaml

from models.registry import load_card
from services.errors import Reject, SettingsError
from services.review.protocols import load_protocol
from services.review.tasks import find_task, load_tasks

SHIPPED = Path(__file__).parents[3] / "services" / "review" / "tasks"


def test_shipped_tasks_mark_what_their_models_answer() -> None:
    tasks = load_tasks()
    assert set(tasks) == {"ich", "ais-mri", "cns-tumour-mri", "tumour-regions"}
    for task in tasks.values():
        if task.model is not None:
            card = load_card(task.model)
            assert [(label.value, label.name) for label in task.labels] == [
                (label.value, label.name) for label in card.labels
            ]
            assert task.grid == card.reference.role
        if task.protocol is not None:
            assert load_protocol(task.protocol).name == task.protocol
        assert (task.readers.annotator_years, task.readers.reviewer_years) == (5, 10)


def test_a_sites_task_replaces_the_shipped_one(tmp_path: Path) -> None:
    content = yaml.safe_load((SHIPPED / "ich.yaml").read_text())
    content["title"] = "Ours"
    (tmp_path / "ich.yaml").write_text(yaml.safe_dump(content))
    assert load_tasks(tmp_path)["ich"].title == "Ours"
    assert len(load_tasks(tmp_path)) == 4


def test_everything_wrong_is_listed(tmp_path: Path) -> None:
    content = yaml.safe_load((SHIPPED / "ich.yaml").read_text())
    content["labels"][1]["value"] = 1
    (tmp_path / "twice.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "broken.yaml").write_text("{")
    content = yaml.safe_load((SHIPPED / "ais-mri.yaml").read_text())
    del content["grid"]
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError) as caught:
        load_tasks(tmp_path)
    said = str(caught.value)
    assert "two labels have the same values" in said
    assert "broken.yaml: this is not YAML." in said
    assert "grid.yaml: grid: Field required." in said
    with pytest.raises(SettingsError, match="no such directory"):
        load_tasks(tmp_path / "nowhere")


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(Reject, match="no task type lung here"):
        find_task(load_tasks(), "lung")
