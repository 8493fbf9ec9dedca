"""The shadow stage: a version that does not serve answers the same input, unseen, after the live answer is committed.
Where readers saw the new version's answer, a canary's, it is the live one that answers unseen.

Its jobs have a lower priority than any other, its answers a table of their own, and what fails here fails unseen.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.card import Card
from models.prediction import Prediction
from models.registry import load_card
from models.volume import Volume
from services.context import Context
from services.errors import Retry
from services.inference.planned import Plan
from services.inference.reading import load_volume
from services.ledger import shadows
from services.ledger.arrays import pack_array, unpack_array
from services.ledger.database import Connection
from services.ledger.jobs import Stage, defer

PRIORITY = -100
ATTEMPTS = 3


class Answers(Protocol):
    @property
    def prediction(self) -> Prediction: ...


class Models(Protocol):
    """Whatever runs a shadow; it never waits for one that is not served."""

    def ask(self, application: str, inputs: Mapping[str, Volume], priority: int | None = None) -> Answers: ...


def ask_for(connection: Connection, planned: Mapping[str, Plan], model: str, study_uid: str, analysis_id: int) -> None:
    """Queue the shadow of an answer that is being committed, where one is planned and sees this study."""
    plan = planned.get(model)
    if plan is not None and plan.sees(study_uid):
        defer(connection, "shadow", analysis_id, priority=PRIORITY)


@dataclass(frozen=True)
class Shadowing:
    """The stage, given what runs models and which are planned."""

    models: Models
    planned: Mapping[str, Plan]

    def stage(self) -> Stage:
        return Stage("shadow", self.run, self.give_up, attempts=ATTEMPTS)

    def run(self, context: Context, analysis_id: int) -> None:
        """Ask the other version about the input of an answer; nothing where that was superseded or none is planned.

        Raises:
            Retry, Reject: it did not answer.
        """
        started = time.monotonic()
        found = self._find(context, analysis_id)
        if found is None:
            return
        shown, plan = found
        canary = _is_canary(shown, plan)
        inputs = {role: load_volume(context, series) for role, series in shown.inputs.items()}
        prediction = self.models.ask(shown.model if canary else plan.application, inputs, PRIORITY).prediction
        seconds = time.monotonic() - started
        expected = load_card(shown.model).weights.sha256 if canary else plan.card.weights.sha256
        if prediction.model.weights_digest != expected:
            raise Retry(f"The shadow of {shown.model} serves other weights than it is planned to.")
        key = context.store.put(pack_array(prediction.segmentation))
        labels = compare(plan.card, prediction, shown.volumes_ml, _segmentation(context, shown.segmentation_key))
        if canary:
            labels = {name: _turned(values) for name, values in labels.items()}
        spoke = prediction.model
        unseen = shadows.Side(spoke.version, spoke.weights_digest, bool(prediction.findings), seconds, key)
        with context.pool.connection() as connection:
            shadows.save(connection, shown, unseen, labels, probabilities=prediction.probabilities, canary=canary)

    def give_up(self, context: Context, analysis_id: int, reason: str) -> None:
        """Count the failure against the shadow; the study is not touched."""
        found = self._find(context, analysis_id)
        if found is None:
            return
        shown, plan = found
        if _is_canary(shown, plan):
            return  # it was the live version that failed, which tells nothing of the new one
        with context.pool.connection() as connection:
            shadows.save_failure(connection, shown, plan.card.version, plan.card.weights.sha256, reason)

    def _find(self, context: Context, analysis_id: int) -> tuple[shadows.LiveAnswer, Plan] | None:
        with context.pool.connection() as connection:
            live = shadows.load_live(connection, analysis_id)
        plan = None if live is None else self.planned.get(live.model)
        return None if live is None or plan is None else (live, plan)


def _is_canary(shown: shadows.LiveAnswer, plan: Plan) -> bool:
    """Whether readers saw the new version's answer, and it is the live one's that is asked for unseen."""
    return shown.weights_digest == plan.card.weights.sha256


def _turned(values: dict[str, float | None]) -> dict[str, float | None]:
    """One label's comparison with the two sides changed over."""
    return {**values, "volume_ml": values["live_ml"], "live_ml": values["volume_ml"]}


def compare(
    card: Card, prediction: Prediction, live_ml: Mapping[str, float], live: NDArray[np.uint8]
) -> dict[str, dict[str, float | None]]:
    """By label that either marks: volumes of both, and how far they overlap."""
    given = {finding.label: finding.volume_ml for finding in prediction.findings}
    found: dict[str, dict[str, float | None]] = {}
    for label in card.labels:
        ours, theirs = prediction.segmentation == label.value, live == label.value
        if not (ours.any() or theirs.any() or label.name in given or label.name in live_ml):
            continue
        found[label.name] = {
            "volume_ml": given.get(label.name, 0.0),
            "live_ml": live_ml.get(label.name, 0.0),
            "dice": overlap(ours, theirs),
        }
    return found


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float | None:
    """Dice, 0 to 1; None where neither marks anything, 0 on grids that differ."""
    marked = int(one.sum()) + int(other.sum())
    if not marked:
        return None
    return 2 * int((one & other).sum()) / marked if one.shape == other.shape else 0.0


def _segmentation(context: Context, key: str) -> NDArray[np.uint8]:
    try:
        return unpack_array(context.store.get(key))
    except KeyError as error:
        raise Retry("The live segmentation is not in the store.") from error
