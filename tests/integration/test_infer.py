"""The infer stage on a real ledger and store, with something at the port that answers as it is told."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from support.heads import head_instances, small_head
from support.instances import encoded
from support.jobs import drain, waiting

from dicom_router import assemble, route
from dicom_router.persist import persist
from models.card import Weights
from models.describe import describe
from models.errors import InvalidVolume
from models.prediction import Finding, ModelIdentity, Prediction, Urgency
from models.registry import load_card
from models.volume import Volume
from services.context import Context
from services.errors import Reject, Retry
from services.inference.infer import Infer
from services.inference.planned import Plan
from services.ledger import results
from services.ledger.arrays import unpack_array
from services.ledger.intake import Sender, close_association, open_association
from services.ledger.jobs import Stage, defer
from services.ledger.served_models import end_canary, register_canaries
from services.notification_settings import Notification

PREVIEW = b"\x89PNG preview"
WEIGHTS = "a" * 64
BLEED = Finding("IPH", 0.97, 60.0, Urgency.IMMEDIATE, 5, volume_range_ml=(52.5, 66.0), abc2_ml=71.25)


@dataclass(frozen=True)
class FakeAnswer:
    prediction: Prediction
    preview: bytes = PREVIEW


@dataclass
class FakeModels:
    """Answers with `findings`; `meanwhile` happens while it thinks, and may raise."""

    findings: tuple[Finding, ...] = (BLEED,)
    weights: str = WEIGHTS
    meanwhile: Callable[[], None] = lambda: None
    calls: list[Mapping[str, Volume]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def analyse(self, model: str, inputs: Mapping[str, Volume]) -> FakeAnswer:
        self.calls.append(inputs)
        self.asked.append(model)
        self.meanwhile()
        segmentation = np.zeros(inputs["NCCT"].voxels.shape, np.uint8)
        segmentation[5, 40:60, 40:60] = 1
        return FakeAnswer(
            Prediction(
                model=ModelIdentity(model, "1.0.0", self.weights),
                segmentation=segmentation,
                findings=self.findings,
                probabilities={"IPH": 0.97},
                slice_probabilities={"IPH": np.full(len(segmentation), 0.12345678, np.float32)},
                urgency=min((finding.urgency for finding in self.findings), default=Urgency.STANDARD),
                measurements={"midline shift": np.float32(4.5)},  # type: ignore[dict-item]
                parameters={"engine": "fake"},
            )
        )


@dataclass
class Site:
    """A ledger with one routed head CT whose analysis is queued."""

    context: Context
    models: FakeModels

    @property
    def stage(self) -> Stage:
        return Infer(self.models).stage(attempts=3)

    def push(self, indices: slice) -> None:
        sender = Sender(uuid.uuid4(), "SCANNER", "NIGHTJAR", "127.0.0.1:1")
        now = datetime.now(UTC)
        with self.context.pool.connection() as connection:
            open_association(connection, sender, now)
        for instance in head_instances(small_head())[indices]:
            persist(self.context, encoded(instance), ExplicitVRLittleEndian, sender)
        with self.context.pool.connection() as connection:
            close_association(connection, sender.association_id, "released", now)

    def route(self) -> None:
        drain(self.context, {"assemble": assemble.STAGE, "route": route.STAGE})

    def take(self) -> int:
        """The waiting infer job, taken off the queue."""
        [identifier] = waiting(self.context, "infer")
        self.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'infer'")
        return int(identifier)

    def infer(self) -> int:
        identifier = self.take()
        self.stage.run(self.context, identifier)
        return identifier

    def execute(self, statement: str) -> None:
        with self.context.pool.connection() as connection:
            connection.execute(statement.encode())

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.context.pool.connection() as connection:
            return connection.execute(query.encode()).fetchall()

    def row(self, query: str) -> dict[str, Any]:
        [row] = self.rows(query)
        return row

    def states(self) -> tuple[str, str]:
        row = self.row("SELECT a.state AS analysis, s.state AS study FROM analysis a JOIN study s USING (study_uid)")
        return row["analysis"], row["study"]

    def assert_nothing_written(self) -> None:
        assert self.rows("SELECT FROM finding") == []
        assert waiting(self.context, "encode") == []
        study = self.row("SELECT urgency, flagged_at FROM study")
        assert (study["urgency"], study["flagged_at"]) == (Urgency.STANDARD, None)


@pytest.fixture
def site(context: Context) -> Site:
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    site = Site(replace(context, settings=context.settings.model_copy(update={"router": router})), FakeModels())
    site.execute(f"INSERT INTO model VALUES ('ich', '1.0.0', '{WEIGHTS}', '{{NCCT}}', '{{}}', 30)")
    site.push(slice(None))
    site.route()
    return site


def test_a_flag_is_told_to_whoever_wants_it_in_its_own_transaction(site: Site) -> None:
    wanted = {"kind": "webhook", "url": "https://x.example", "secret": "a secret of some length"}
    receivers = (
        Notification.model_validate({**wanted, "name": "all"}),
        Notification.model_validate({**wanted, "name": "sdh", "findings": ["SDH"]}),
    )
    settings = site.context.settings.model_copy(update={"notifications": receivers})
    site.context = replace(site.context, settings=settings)
    identifier = site.infer()
    told = site.row("SELECT id, analysis_id, destination, kind, state FROM notification")
    assert waiting(site.context, "notify") == [told.pop("id")]
    assert told == {"analysis_id": identifier, "destination": "all", "kind": "webhook", "state": "pending"}
    ours = site.row("SELECT xmin FROM notification")
    assert ours == site.row("SELECT xmin FROM finding"), "a flag and its notification commit together"


def test_an_answer_is_in_the_ledger_and_the_store_and_encoding_is_asked_for(site: Site) -> None:
    identifier = site.infer()
    [inputs] = site.models.calls
    np.testing.assert_array_equal(inputs["NCCT"].voxels, small_head().volume.voxels)
    assert site.states() == ("analysed", "analysed")
    analysis = site.row("SELECT * FROM analysis")
    assert analysis["slice_probabilities"] == {"IPH": [0.1235] * 14}
    assert (analysis["urgency"], analysis["parameters"], analysis["attempts"]) == (1, {"engine": "fake"}, 1)
    assert analysis["figures"] == {"NCCT": pytest.approx(describe(small_head().volume))}
    segmentation = unpack_array(site.context.store.get(analysis["segmentation_key"]))
    assert (segmentation.shape, int(segmentation.sum())) == ((14, 128, 128), 400)
    assert site.context.store.get(analysis["preview_key"]) == PREVIEW
    finding = site.row("SELECT label, volume_ml, urgency, key_slice FROM finding")
    assert finding == {"label": "IPH", "volume_ml": 60.0, "urgency": 1, "key_slice": 5}
    with site.context.pool.connection() as connection:
        committed = results.load(connection, identifier)
    assert committed is not None
    assert committed.findings == (replace(BLEED, probability=pytest.approx(0.97)),)
    assert committed.measurements == {"midline shift": 4.5}
    study = site.row("SELECT urgency, flagged_at, analysed_at FROM study")
    assert study["urgency"] == Urgency.IMMEDIATE
    assert study["flagged_at"] is not None
    assert study["analysed_at"] is not None
    assert waiting(site.context, "encode") == [identifier]


def test_an_answer_never_lowers_urgency_and_no_finding_is_no_flag(site: Site) -> None:
    site.execute("UPDATE study SET urgency = 2")
    site.models.findings = ()
    site.infer()
    study = site.row("SELECT urgency, flagged_at, state FROM study")
    assert study == {"urgency": 2, "flagged_at": None, "state": "analysed"}


def test_running_it_twice_writes_once(site: Site) -> None:
    identifier = site.infer()
    site.stage.run(site.context, identifier)
    assert len(site.models.calls) == 1
    assert len(site.rows("SELECT FROM finding")) == 1
    assert waiting(site.context, "encode") == [identifier]


def test_the_job_of_a_dead_worker_is_taken_over(site: Site) -> None:
    site.execute("UPDATE analysis SET state = 'running', attempts = 1")
    site.infer()
    assert site.states() == ("analysed", "analysed")
    assert site.row("SELECT attempts FROM analysis") == {"attempts": 2}


def test_what_may_succeed_later_waits_again_and_says_why(site: Site) -> None:
    def fail() -> None:
        raise Retry("The replica of ich failed.")

    site.models.meanwhile = fail
    identifier = site.take()
    with pytest.raises(Retry):
        site.stage.run(site.context, identifier)
    assert site.states() == ("queued", "analysing")
    assert site.row("SELECT reason FROM analysis") == {"reason": "The replica of ich failed."}
    site.assert_nothing_written()
    site.models.meanwhile = lambda: None
    site.stage.run(site.context, identifier)
    assert site.states() == ("analysed", "analysed")
    assert site.row("SELECT reason FROM analysis") == {"reason": None}


def test_what_never_can_ends_failed_with_its_study(site: Site) -> None:
    def fail() -> None:
        raise Reject("There is no tissue in these slices.")

    site.models.meanwhile = fail
    identifier = site.take()
    with pytest.raises(Reject) as caught:
        site.stage.run(site.context, identifier)
    site.stage.give_up(site.context, identifier, str(caught.value))
    assert site.states() == ("failed", "failed")
    assert site.row("SELECT reason FROM study") == {"reason": "There is no tissue in these slices."}
    site.assert_nothing_written()


def test_slices_that_make_no_volume_are_rejected_before_any_model_is_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> Volume:
        raise InvalidVolume("Two slices share one position.")

    monkeypatch.setattr("services.inference.reading.read_series", refuse)
    with pytest.raises(Reject, match="share one position"):
        site.infer()
    assert site.models.calls == []


def test_bytes_that_are_not_there_are_asked_for_again(site: Site) -> None:
    key = site.row("SELECT digest FROM instance ORDER BY id LIMIT 1")["digest"]
    path = site.context.settings.store_path / key[:2] / key
    away = path.rename(path.with_name("away"))
    with pytest.raises(Retry):
        site.stage.run(site.context, identifier := site.take())
    assert site.states() == ("queued", "analysing")
    away.rename(path)
    site.stage.run(site.context, identifier)
    assert site.states() == ("analysed", "analysed")


def test_superseded_meanwhile_writes_nothing(site: Site) -> None:
    site.models.meanwhile = lambda: site.execute("UPDATE analysis SET state = 'superseded'")
    site.infer()
    assert site.states() == ("superseded", "analysing")
    site.assert_nothing_written()


def test_an_instance_that_arrives_meanwhile_has_the_study_routed_anew(context: Context) -> None:
    site = Site(
        replace(
            context,
            settings=context.settings.model_copy(
                update={"router": context.settings.router.model_copy(update={"low_disk_mb": 0})}
            ),
        ),
        FakeModels(),
    )
    site.execute(f"INSERT INTO model VALUES ('ich', '1.0.0', '{WEIGHTS}', '{{NCCT}}', '{{}}', 30)")
    site.push(slice(0, 13))
    site.route()
    site.models.meanwhile = lambda: site.push(slice(13, 14))
    first = site.infer()
    site.assert_nothing_written()
    assert site.row("SELECT state, reason FROM analysis") == {
        "state": "superseded",
        "reason": "Instances arrived while the analysis ran.",
    }
    assert len(waiting(site.context, "route")) == 1
    site.route()
    site.models.meanwhile = lambda: None
    second = site.infer()
    assert second != first
    assert [len(call["NCCT"].voxels) for call in site.models.calls] == [13, 14]
    assert site.rows("SELECT state FROM analysis ORDER BY id") == [{"state": "superseded"}, {"state": "analysed"}]
    assert waiting(site.context, "encode") == [second]


def test_a_model_replaced_meanwhile_has_the_study_routed_anew(site: Site) -> None:
    def replace_model() -> None:
        site.execute(f"UPDATE model SET weights_digest = '{'b' * 64}'")
        site.models.weights = "b" * 64

    site.models.meanwhile = replace_model
    site.infer()
    site.assert_nothing_written()
    assert site.row("SELECT state FROM analysis") == {"state": "superseded"}
    site.route()
    site.infer()
    assert site.rows("SELECT weights_digest, state FROM analysis ORDER BY id") == [
        {"weights_digest": WEIGHTS, "state": "superseded"},
        {"weights_digest": "b" * 64, "state": "analysed"},
    ]


def test_a_canarys_analyses_are_its_own_until_it_ends(site: Site) -> None:
    """A study of a canary's share is answered and shown by it; one it had not answered when it ended goes to the live
    version."""
    card = load_card("ich").model_copy(update={"version": "2.0.0", "weights": Weights(file="n.onnx", sha256="c" * 64)})
    plan = Plan(card, share=1.0, canary=1.0)
    assert plan.shown is not None
    with site.context.pool.connection() as connection:
        register_canaries(connection, {"ich": plan.shown})
        defer(connection, "route", site.row("SELECT study_uid FROM study")["study_uid"])
    site.route()
    stage = Infer(site.models, {"ich": plan}).stage(attempts=3)
    site.models.weights = "c" * 64
    first, identifier = (int(job) for job in waiting(site.context, "infer"))
    site.execute("DELETE FROM procrastinate_jobs")
    stage.run(site.context, first)
    assert site.models.asked == [], "its analysis was superseded when the canary began"

    def end() -> None:
        with site.context.pool.connection() as connection:
            end_canary(connection, "ich")

    site.models.meanwhile = end
    stage.run(site.context, identifier)
    assert site.models.asked == ["ich-shadow"]
    site.assert_nothing_written()
    assert len(waiting(site.context, "route")) == 1

    with site.context.pool.connection() as connection:
        register_canaries(connection, {"ich": plan.shown})
    site.models.meanwhile = lambda: None
    site.route()
    stage.run(site.context, int(waiting(site.context, "infer")[-1]))
    assert site.models.asked == ["ich-shadow"] * 2
    [shown] = site.rows("SELECT model_version, weights_digest FROM analysis WHERE state = 'analysed'")
    assert shown == {"model_version": "2.0.0", "weights_digest": "c" * 64}
    assert waiting(site.context, "shadow") == [identifier], "the live version is to answer unseen"


def test_an_outdated_replica_is_asked_again_later(site: Site) -> None:
    site.models.weights = "c" * 64
    with pytest.raises(Retry, match="serves other weights"):
        site.infer()
    assert site.states() == ("queued", "analysing")
    site.assert_nothing_written()
