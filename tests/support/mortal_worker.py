"""A worker with every stage, the models in its own process, that kills itself where it is told: for crash tests only.

mortal_worker.py SETTINGS [TASK MOMENT]
"""

import asyncio
import dataclasses
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dicom_router import assemble
from models.preview import render_preview
from models.registry import load_model
from models.volume import Volume
from services import worker
from services.context import Context
from services.inference.infer import Infer
from services.ledger.jobs import Stage
from services.parts import open_context, register_models, stages
from services.settings import load_settings


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclasses.dataclass(frozen=True)
class DirectAnswer:
    prediction: Any
    preview: bytes


class DirectModels:
    """The real model without Ray, so that a crash is the worker's alone."""

    def __init__(self) -> None:
        self._models = {"ich": load_model("ich")}

    def analyse(self, model: str, inputs: Mapping[str, Volume]) -> DirectAnswer:
        prediction = self._models[model].predict(inputs)
        volume = next(iter(inputs.values()))
        return DirectAnswer(prediction, render_preview(volume, prediction.segmentation, 0))


class MortalPool:
    """Dies just before the n-th commit."""

    def __init__(self, pool: Any, commits: int) -> None:
        self._pool, self._left = pool, commits

    @contextmanager
    def connection(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        with self._pool.connection(*args, **kwargs) as connection:
            yield connection
            self._left -= 1
            if self._left == 0:
                die()


def mortal(stage: Stage, moment: str) -> Stage:
    def run(context: Context, identifier: Any) -> None:
        if moment == "start":
            die()
        if moment.startswith("commit"):
            context = dataclasses.replace(context, pool=MortalPool(context.pool, int(moment[-1])))  # type: ignore[arg-type]
        stage.run(context, identifier)
        die()

    return dataclasses.replace(stage, run=run)


def main() -> None:
    settings = load_settings(Path(sys.argv[1]))
    task, moment = sys.argv[2:4] if len(sys.argv) > 2 else ("", "")
    with open_context(settings, pool_size=8) as context:
        register_models(context)
        every = [*stages(settings), Infer(DirectModels()).stage(3)]
        served = [mortal(stage, moment) if stage.task == task else stage for stage in every]
        asyncio.run(worker.work(context, served, sweep=assemble.sweep))


if __name__ == "__main__":
    main()
