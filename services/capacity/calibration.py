"""What one study costs, stage by stage: the figures of a load run (`make load`) that the model is calibrated by."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from services.errors import SettingsError

WORKER_STAGES = ("complete", "route", "encode", "deliver")


@dataclass(frozen=True)
class StudyKind:
    """One line of the study mix, measured alone.

    Attributes:
        share: of all studies.
        model: that answers; "" where none is meant for it.
        instances, megabytes: of one study.
        analyses: of one study; each passes the stages by itself.
        stages_s: of one analysis, by stage (complete, route, infer, encode, deliver), waits for nothing.
        cpu_s: of one study, by part.
    """

    name: str
    share: float
    model: str
    instances: int
    megabytes: float
    analyses: int
    stages_s: dict[str, float]
    cpu_s: dict[str, float]

    @property
    def worker_s(self) -> dict[str, float]:
        """CPU seconds of the worker for one analysis by stage: what it took in all, as the stages' lengths are."""
        total = sum(self.stages_s.get(stage, 0.0) for stage in WORKER_STAGES)
        cpu = self.cpu_s.get("worker", 0.0) / max(1, self.analyses)
        return {
            stage: min(1.0, cpu / total) * self.stages_s[stage] for stage in WORKER_STAGES if stage in self.stages_s
        }


@dataclass(frozen=True)
class Calibration:
    """Where the figures come from, and the mix.

    Attributes:
        conditions: a sentence or two.
        studies_per_day: the rate at which they were taken; what is far above it was never tried.
    """

    conditions: str
    at: str
    commit: str
    studies_per_day: float
    kinds: tuple[StudyKind, ...]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind.model for kind in self.kinds if kind.model))


def read_calibration(path: Path | None = None) -> Calibration:
    """From a load.json; without one, from the run that this release was measured by.

    Raises:
        SettingsError: it cannot be read, or is none.
    """
    try:
        if path is None:
            text = files("services.capacity").joinpath("measured.yaml").read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
        return parse(yaml.safe_load(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"--calibration {path}: no figures of a load run are in it. Name the load.json that `make load` wrote."
        ) from error


def parse(content: dict[str, Any]) -> Calibration:
    """From the content of a load.json."""
    data = content["data"]
    kinds = tuple(
        StudyKind(
            name=name,
            share=data["mix"][name],
            model=alone["model"],
            instances=alone["instances"],
            megabytes=alone["megabytes"],
            analyses=alone["analyses"],
            stages_s=dict(alone["stages_s"]),
            cpu_s=dict(alone["cpu_s"]),
        )
        for name, alone in data["alone"].items()
    )
    if not all(kind.cpu_s for kind in kinds):
        raise SettingsError(
            "--calibration: that run did not see the processes it loaded. Name one of embedded mode (`make load`)."
        )
    plan = data["plan"]
    rate = plan["studies_per_day"] * plan["compression"]
    return Calibration(content["conditions"], str(content["at"])[:10], content["commit"], rate, kinds)
