"""While an engine is built for a GPU, status says so."""

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from models.engines.plans import PlanCache, PlanKey, Tell
from models.registry import load_card
from services.context import Context
from services.ledger.served_models import ServedModel, register_models
from services.operations.status import collect_status, render_status

CARD = load_card("ich")
SERVED = ServedModel("ich", CARD.version, CARD.weights.sha256, ("NCCT",), (), 40)


def test_status_says_which_engine_is_being_built_and_how_far_that_is(context: Context, tmp_path: Path) -> None:
    register_models(context.pool, [SERVED])
    inference = context.settings.inference.model_copy(update={"engine_cache": tmp_path})
    site = replace(context, settings=context.settings.model_copy(update={"inference": inference}))
    seen = []

    def build(tell: Tell) -> bytes:
        tell("Building the engine", 0.25)
        seen.append(collect_status(site))
        return b"plan"

    PlanCache(tmp_path).get(PlanKey(CARD.weights.sha256, "tensorrt 10.13.3", "9.0", "fp16", {}), build)
    [status] = seen
    [building] = status.building
    assert (building["model"], building["phase"], building["share"]) == ("ich", "Building the engine", 0.25)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render_status(status))
    assert "ich is being built for this GPU: Building the engine, 25%" in console.export_text()
    assert collect_status(site).building == []
