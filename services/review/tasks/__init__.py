"""Task types: what is marked, by which rules, by whom, and how well two people must agree. One YAML file each.

Those beside this module ship with Nightjar; a site's own, in `review.tasks`, replace them by name or add to them.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from services.errors import Reject, SettingsError

_SHIPPED = Path(__file__).parent


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskLabel(_Part):
    """What one value of a mask means. Colour: red, green, blue."""

    value: int = Field(ge=1, le=255)
    name: str
    meaning: str
    colour: tuple[int, int, int]


class Creation(_Part):
    """Which results become workitems by themselves."""

    flags: bool
    """Every answer that raised a flag."""
    disagreements: bool
    """Every answer that a reader disagreed with."""
    share: float = Field(ge=0, le=1)
    """Part of all other answers, drawn by their content, so that the same answers are drawn again."""
    uncertainty: float = Field(ge=0, le=0.5)
    """Answers with a probability nearer to a label's operating point than this."""


class Readers(_Part):
    """How many annotators draw. `twice`: part of the workitems that two draw, blinded; the others have one."""

    twice: float = Field(ge=0, le=1)
    start: Literal["answer", "empty"]
    """What annotators begin from: the AI's answer, or nothing."""
    annotator_years: int = Field(ge=0)
    reviewer_years: int = Field(ge=0)


class AgreementLimits(_Part):
    """Below any of these, for any label, a workitem is disputed; None: not looked at. Volume difference: both must
    be exceeded, so that small lesions are not disputed for a voxel."""

    dice: float | None = Field(None, ge=0, le=1)
    nsd: float | None = Field(None, ge=0, le=1)
    lesion_f1: float | None = Field(None, ge=0, le=1)
    volume_difference_ml: float | None = Field(None, ge=0)
    volume_difference_share: float = Field(0.0, ge=0)
    smallest_ml: float = Field(0.0, ge=0)
    """A label of which neither reader drew more than this is not held against the limits."""


class Admission(_Part):
    """What a reader has to show before they may annotate: the training cases done, then the test passed."""

    required: bool
    dice: float = Field(ge=0, le=1)
    icc: float = Field(ge=0, le=1)
    cases: int = Field(ge=3)
    """So many test cases there must be: an ICC of fewer than three says nothing."""


class ImageQuality(_Part):
    """How readers grade the images before they draw; below `least` the workitem is excluded."""

    scale: Literal["likert", "grade"]
    least: int
    words: dict[int, str]


class Rule(_Part):
    """One annotation rule, as readers see it beside the image."""

    title: str
    text: str


class Hints(_Part):
    """What the editor points out while drawing; it never blocks. None: not looked at."""

    smallest_voxels: int | None = None
    skipped_slices: bool = True
    outside_brain: bool = True
    highest_adc: float | None = None
    """10^-6 mm^2/s, with the labels it is for in `adc_labels`."""
    adc_labels: tuple[str, ...] = ()
    most_lesions: int | None = None


class Task(_Part):
    """A task type."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    title: str
    model: str | None
    """Whose answers it corrects; None: workitems are made by hand."""
    grid: str
    """Role of the series that masks lie on."""
    beside: tuple[str, ...] = ()
    """Roles shown beside it, linked."""
    labels: tuple[TaskLabel, ...] = Field(min_length=1)
    create: Creation
    due_days: dict[int, int]
    readers: Readers
    agreement: AgreementLimits
    admission: Admission
    quality: ImageQuality
    protocol: str | None = None
    rules: tuple[Rule, ...]
    hints: Hints = Hints()

    @field_validator("due_days")
    @classmethod
    def _every_priority(cls, days: dict[int, int]) -> dict[int, int]:
        if set(days) != {1, 2, 3}:
            raise ValueError("name the days for priority 1, 2 and 3")
        return days

    @model_validator(mode="after")
    def _consistent(self) -> "Task":
        for what, values in (
            ("values", [label.value for label in self.labels]),
            ("names", [label.name for label in self.labels]),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"two labels have the same {what}")
        top = 5 if self.quality.scale == "likert" else 3
        if set(self.quality.words) != set(range(1, top + 1)) or not 1 <= self.quality.least <= top:
            raise ValueError(f"quality: name the words for 1 to {top}, and a least one of them")
        unknown = set(self.hints.adc_labels) - {label.name for label in self.labels}
        if unknown:
            raise ValueError(f"hints.adc_labels: no label is called {', '.join(sorted(unknown))}")
        return self


@cache
def load_tasks(folder: Path | None = None) -> dict[str, Task]:
    """Task types by name: the shipped ones, and a site's.

    Raises:
        SettingsError: a line for each thing that is wrong in a file.
    """
    paths: list[Path] = sorted(_SHIPPED.glob("*.yaml"))
    if folder is not None:
        if not folder.is_dir():
            raise SettingsError(f"review.tasks = {folder}: there is no such directory.")
        paths += sorted(folder.glob("*.yaml"))
    return {task.name: task for task in _read(paths)}


def find_task(tasks: dict[str, Task], name: str) -> Task:
    """A task type by its name.

    Raises:
        Reject: this installation has none of that name (any more).
    """
    task = tasks.get(name)
    if task is None:
        raise Reject(f"There is no task type {name} here. There are {', '.join(sorted(tasks))}.")
    return task


def _read(paths: Iterable[Path]) -> list[Task]:
    tasks, problems = [], []
    for path in paths:
        try:
            tasks.append(Task.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))))
        except OSError as error:
            problems.append(f"{path}: {error.strerror}.")
        except (yaml.YAMLError, UnicodeDecodeError):
            problems.append(f"{path}: this is not YAML.")
        except ValidationError as error:
            problems += [f"{path}: {'.'.join(map(str, p['loc'])) or 'task'}: {p['msg']}." for p in error.errors()]
    if problems:
        raise SettingsError("\n".join(problems))
    return tasks
