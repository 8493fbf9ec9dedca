"""The infer stage: instances to Volume, Volume to Prediction, Prediction to the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from models.describe import describe
from models.prediction import Prediction
from models.volume import Volume
from services.context import Context
from services.errors import Retry
from services.inference.planned import Plan
from services.inference.reading import load_volume
from services.inference.shadow import ask_for
from services.ledger import analyses, notifications, routing, served_models
from services.ledger.analyses import Analysis
from services.ledger.arrays import pack_array
from services.ledger.database import Connection
from services.ledger.jobs import Stage, defer


class Answers(Protocol):
    """A prediction and its worklist picture."""

    @property
    def prediction(self) -> Prediction: ...
    @property
    def preview(self) -> bytes: ...


class Models(Protocol):
    """Whatever runs the models; Ray Serve outside unit tests."""

    def analyse(self, model: str, inputs: Mapping[str, Volume]) -> Answers: ...


@dataclass(frozen=True)
class Infer:
    """The stage, given something that runs models, and the shadows that answer after them."""

    models: Models
    shadows: Mapping[str, Plan] = field(default_factory=dict)

    def stage(self, attempts: int) -> Stage:
        return Stage("infer", self.run, give_up, attempts=attempts)

    def run(self, context: Context, analysis_id: int) -> None:
        with context.pool.connection() as connection:
            analysis = analyses.start(connection, analysis_id)
        if analysis is None:
            return
        try:
            self._analyse(context, analysis)
        except Retry as error:
            with context.pool.connection() as connection:
                analyses.wait_again(connection, analysis_id, str(error))
            raise

    def _analyse(self, context: Context, analysis: Analysis) -> None:
        inputs = {role: load_volume(context, series) for role, series in analysis.inputs.items()}
        answer = self.models.analyse(self._application(analysis), inputs)
        prediction = answer.prediction
        segmentation_key = context.store.put(pack_array(prediction.segmentation))
        image_key = None if prediction.image is None else context.store.put(pack_array(prediction.image))
        preview_key = context.store.put(answer.preview)
        with context.pool.connection() as connection:
            if self._outdated(connection, analysis, prediction.model.weights_digest):
                return
            finished = analyses.finish(
                connection,
                analysis,
                findings=prediction.findings,
                urgency=prediction.urgency,
                probabilities=prediction.probabilities,
                slice_probabilities={
                    label: [round(float(p), 4) for p in values]
                    for label, values in prediction.slice_probabilities.items()
                },
                measurements={name: float(value) for name, value in prediction.measurements.items()},
                parameters=dict(prediction.parameters),
                segmentation_key=segmentation_key,
                preview_key=preview_key,
                image_key=image_key,
                figures={role: describe(volume) for role, volume in inputs.items()},
            )
            if finished:
                defer(connection, "encode", analysis.id, priority=10 - int(prediction.urgency))
                defer(connection, "select", analysis.id)
                ask_for(connection, self.shadows, analysis.model, analysis.study_uid, analysis.id)
                told = {finding.label: int(finding.urgency) for finding in prediction.findings}
                receivers = [each for each in context.settings.notifications if each.wants(analysis.model, told)]
                kinds = {receiver.name: receiver.kind for receiver in receivers}
                notifications.plan(connection, analysis.id, analysis.study_uid, kinds, int(prediction.urgency))

    def _application(self, analysis: Analysis) -> str:
        """Where the version that is to be shown is served: a canary's answers come from where shadows answer."""
        plan = self.shadows.get(analysis.model)
        shown = plan is not None and plan.card.weights.sha256 == analysis.weights_digest
        return plan.application if plan is not None and shown else analysis.model

    def _outdated(self, connection: Connection, analysis: Analysis, weights_digest: str) -> bool:
        """Whether instances came, or the model changed, while the analysis ran; the study is then routed anew.

        Raises:
            Retry: the replica is the one that is outdated.
        """
        registered = served_models.registered_weights(connection, analysis.model, analysis.study_uid)
        ended = self._application(analysis) != analysis.model and registered != analysis.weights_digest
        if ended or weights_digest != analysis.weights_digest:
            if not ended and weights_digest != registered:
                raise Retry(f"The replica of {analysis.model} serves other weights than this installation registered.")
            reason = "The model was replaced before it answered."
        elif analysis.input_digest != routing.input_digest(connection, list(analysis.inputs.values())):
            reason = "Instances arrived while the analysis ran."
        else:
            return False
        analyses.supersede(connection, analysis.id, reason)
        defer(connection, "route", analysis.study_uid)
        return True


def give_up(context: Context, analysis_id: int, reason: str) -> None:
    with context.pool.connection() as connection:
        analyses.fail(connection, analysis_id, reason)
