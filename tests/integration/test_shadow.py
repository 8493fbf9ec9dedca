"""A shadow answers beside the live version and changes nothing that anybody sees; promotion asks for its evidence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.jobs import waiting
from support.triage import add_analysis, add_study, finish_analysis, run_analysis
from support.window_network import write_model

from models.adding import add_model
from models.prediction import Finding, ModelIdentity, Prediction, Urgency
from models.registry import load_card, use_shelf
from models.shelf import Shelf
from models.volume import Volume
from services.context import Context
from services.errors import Retry, SettingsError
from services.inference.planned import Plan, plans
from services.inference.shadow import Shadowing, ask_for
from services.ledger.arrays import pack_array
from services.ledger.drift import reference_of
from services.ledger.served_models import for_study, register_canaries
from services.lifecycle.drift import FEWEST
from services.lifecycle.standing import Refused, begin_canary, gather, promote, put_in_shadow, roll_back
from services.review.masks import Grid, Mask, encode
from services.settings import PromotionSettings

SHAPE = (4, 8, 8)


@dataclass(frozen=True)
class FakeAnswer:
    prediction: Prediction


@dataclass
class FakeModels:
    """Says `volume_ml` and marks the first `columns` columns."""

    volume_ml: float = 6.0
    columns: int = 3
    weights: str = ""
    fails: bool = False
    application: str = "brought-shadow"
    version: str = "2.0.0"

    def ask(self, application: str, inputs: Mapping[str, Volume], priority: int | None = None) -> FakeAnswer:
        assert priority == -100
        assert application == self.application
        if self.fails:
            raise Retry("The replica of brought-shadow failed.")
        findings = (Finding("lesion", 0.9, self.volume_ml, Urgency.IMMEDIATE, 1),) if self.columns else ()
        identity = ModelIdentity("brought", self.version, self.weights)
        return FakeAnswer(Prediction(identity, marked(self.columns), findings, {"lesion": 0.9}, {}))


def marked(columns: int) -> np.ndarray:
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[:, :, :columns] = 1
    return voxels


@dataclass(frozen=True)
class Site:
    """A ledger, and a shelf with two versions of one model, the second in shadow."""

    context: Context
    shelf: Shelf
    models: FakeModels

    def planned(self) -> dict[str, Plan]:
        return plans(self.context.settings.inference)

    @property
    def shadowing(self) -> Shadowing:
        return Shadowing(self.models, self.planned())

    def answer(self, number: int, volume_ml: float | None = 5.0) -> int:
        """A study with a live answer that marks the first two columns, or nothing."""
        card = load_card("brought")
        key = self.context.store.put(pack_array(marked(2 if volume_ml else 0)))
        with self.context.pool.connection() as connection:
            study = add_study(connection, number)
            identifier = add_analysis(connection, study, model="brought")
            run_analysis(connection, identifier)
            connection.execute(
                """UPDATE analysis SET model_version = %s, weights_digest = %s, segmentation_key = %s,
                       started_at = clock_timestamp() - interval '1 hour' WHERE id = %s""",
                [card.version, card.weights.sha256, key, identifier],
            )
            finish_analysis(connection, identifier, {"lesion": volume_ml} if volume_ml else {}, urgency=2)
        return identifier

    def accept(self, analysis_id: int, columns: int) -> None:
        """Experts accept a mask of the first columns for an answer."""
        positions = np.arange(SHAPE[0])[:, None] * np.array([0.0, 0.0, 5.0])
        grid = Grid(SHAPE, positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0))
        key = self.context.store.put(encode(Mask(marked(columns), grid)))
        with self.context.pool.connection() as connection:
            item = connection.execute(
                """INSERT INTO workitem (study_uid, series_uid, analysis_id, task, cause)
                   SELECT study_uid, study_uid || '.2', id, 'ich', 'flag' FROM analysis WHERE id = %s RETURNING id""",
                [analysis_id],
            ).fetchone()
            assert item is not None
            mask = connection.execute(
                """INSERT INTO annotation (workitem_id, slot, round, author, mask_digest, tool, submitted)
                   VALUES (%s, 'A', 1, 'ana', %s, 'editor', true) RETURNING id""",
                [item["id"], key],
            ).fetchone()
            assert mask is not None
            for state in ("annotated", "in_review", "accepted"):
                connection.execute(
                    "UPDATE workitem SET state = %s, standing_id = %s WHERE id = %s", [state, mask["id"], item["id"]]
                )

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.context.pool.connection() as connection:
            return connection.execute(query.encode()).fetchall()

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all tables but the shadows' own."""
        tables = self.rows(
            """SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename != 'shadow_answer'
               AND tablename NOT LIKE 'procrastinate%'"""
        )
        return {table["name"]: self.rows(f"SELECT * FROM {table['name']}") for table in tables}


@pytest.fixture
def site(context: Context, tmp_path: Path) -> Iterator[Site]:
    shelf = Shelf(tmp_path / "shelf")
    add_model(write_model(tmp_path / "one"), shelf)
    add_model(write_model(tmp_path / "two", version="2.0.0", network={"above": 0.6}), shelf)
    inference = context.settings.inference.model_copy(update={"models": ("brought",), "models_dir": shelf.folder})
    policy = PromotionSettings(studies=2, flagged=1, dice=0.5)
    settings = context.settings.model_copy(update={"inference": inference, "promotion": policy})
    use_shelf(shelf.folder)
    put_in_shadow(shelf, "brought", "2.0.0", 1.0)
    weights = load_card("brought", "2.0.0").weights.sha256
    yield Site(replace(context, settings=settings), shelf, FakeModels(weights=weights))
    use_shelf(None)


def test_a_shadow_writes_its_answer_and_touches_nothing_else(site: Site) -> None:
    identifier = site.answer(1)
    before = site.everything()
    listener = site.context.pool.getconn()
    try:
        listener.execute("LISTEN nightjar_worklist")
        listener.commit()
        site.shadowing.run(site.context, identifier)
        site.shadowing.run(site.context, identifier)
        assert list(listener.notifies(timeout=0, stop_after=1)) == []
    finally:
        site.context.pool.putconn(listener)
    assert site.everything() == before
    assert site.rows("SELECT task_name FROM procrastinate_jobs") == []
    [row] = site.rows("SELECT * FROM shadow_answer")
    assert (row["version"], row["live_version"], row["flag"], row["live_flag"]) == ("2.0.0", "1.0.0", True, True)
    assert row["labels"] == {"lesion": {"volume_ml": 6.0, "live_ml": 5.0, "dice": 0.8}}
    assert row["live_seconds"] == pytest.approx(3600, abs=60)


def test_what_fails_is_counted_and_seen_by_nobody(site: Site) -> None:
    identifier = site.answer(1)
    before = site.everything()
    site.models.fails = True
    with pytest.raises(Retry) as failed:
        site.shadowing.run(site.context, identifier)
    site.shadowing.give_up(site.context, identifier, str(failed.value))
    assert site.everything() == before
    evidence = gather(site.context, "brought", "2.0.0")
    assert (evidence.studies, evidence.failures) == (0, 1)


def test_a_shadow_of_other_weights_than_planned_is_not_believed(site: Site) -> None:
    site.models.weights = "f" * 64
    with pytest.raises(Retry, match="serves other weights"):
        site.shadowing.run(site.context, site.answer(1))
    assert site.rows("SELECT FROM shadow_answer") == []


def test_an_answer_that_no_longer_stands_is_not_compared(site: Site) -> None:
    identifier = site.answer(1)
    with site.context.pool.connection() as connection:
        connection.execute("UPDATE analysis SET state = 'superseded' WHERE id = %s", [identifier])
    site.shadowing.run(site.context, identifier)
    assert site.rows("SELECT FROM shadow_answer") == []


def test_its_jobs_come_after_every_other_and_for_its_share_of_studies(site: Site) -> None:
    with site.context.pool.connection() as connection:
        for number in range(200):
            ask_for(connection, site.planned(), "brought", f"1.2.{number}", number)
            ask_for(connection, {}, "brought", f"1.2.{number}", 1000 + number)
    assert waiting(site.context, "shadow") == list(range(200))
    assert site.rows("SELECT DISTINCT priority, queue_name FROM procrastinate_jobs") == [
        {"priority": -100, "queue_name": "shadow"}
    ]
    some = replace(site.planned()["brought"], share=0.25)
    seen = [some.sees(f"1.2.{number}") for number in range(2000)]
    assert 0.2 < sum(seen) / len(seen) < 0.3
    assert seen == [some.sees(f"1.2.{number}") for number in range(2000)]


def test_without_evidence_nothing_is_promoted_and_with_it_all_of_it_can_be_undone(site: Site) -> None:
    with pytest.raises(Refused, match=r"brought 2\.0\.0 is not promoted:\n0 studies were answered"):
        promote(site.context, site.shelf, "brought", "2.0.0", account="ana")
    assert load_card("brought").version == "1.0.0"
    for number in range(2):
        site.shadowing.run(site.context, site.answer(number))
    evidence = promote(site.context, site.shelf, "brought", "2.0.0", account="ana")
    assert evidence.studies == 2
    use_shelf(site.shelf.folder)
    assert load_card("brought").version == "2.0.0"
    assert site.planned() == {}
    with pytest.raises(Refused, match="is live already"):
        promote(site.context, site.shelf, "brought", "2.0.0", account="ana")
    assert roll_back(site.context, site.shelf, "brought", account="ana", reason="Too many flags.").version == "1.0.0"
    use_shelf(site.shelf.folder)
    assert load_card("brought").version == "1.0.0"
    with pytest.raises(Refused, match="no version to go back to"):
        roll_back(site.context, site.shelf, "brought", account="ana")
    first, second = site.rows("SELECT * FROM promotion ORDER BY id")
    assert (first["kind"], first["source_version"], first["target_version"]) == ("promotion", "1.0.0", "2.0.0")
    assert first["evidence"]["both"] == 2
    assert (second["kind"], second["target_version"], second["reason"]) == ("rollback", "1.0.0", "Too many flags.")


def test_evidence_against_another_live_version_does_not_count(site: Site) -> None:
    for number in range(2):
        site.shadowing.run(site.context, site.answer(number))
    with site.context.pool.connection() as connection:
        connection.execute("UPDATE shadow_answer SET live_version = '0.9.0' WHERE id = 1")
        connection.execute("UPDATE shadow_answer SET live_version = live_version || '+site.1a2b3c4d' WHERE id = 2")
    assert gather(site.context, "brought", "2.0.0").studies == 1


def test_experts_masks_score_both_versions(site: Site) -> None:
    identifiers = [site.answer(number) for number in range(3)]
    for identifier in identifiers:
        site.shadowing.run(site.context, identifier)
    site.accept(identifiers[0], columns=3)
    site.accept(identifiers[1], columns=2)
    found = gather(site.context, "brought", "2.0.0").experts
    assert found is not None
    assert found.studies == 2
    assert found.new_dice == pytest.approx((1 + 0.8) / 2)
    assert found.live_dice == pytest.approx((0.8 + 1) / 2)


def test_what_cannot_stand_in_shadow_is_refused(site: Site) -> None:
    with pytest.raises(Refused, match=r"brought 1\.0\.0 is live"):
        put_in_shadow(site.shelf, "brought", "1.0.0", 1.0)
    put_in_shadow(site.shelf, "brought", None, 1.0)
    assert site.planned() == {}
    put_in_shadow(site.shelf, "brought", "2.0.0", 0.5)
    (site.shelf.place("brought", "2.0.0") / "model.yaml").unlink()
    use_shelf(site.shelf.folder)
    with pytest.raises(SettingsError, match=r"inference\.models_dir: There is no"):
        site.planned()


def serve(site: Site) -> None:
    """The ledger as the parts leave it when they start: the live version, and canaries there are."""
    card = load_card("brought")
    with site.context.pool.connection() as connection:
        connection.execute(
            """INSERT INTO model (name, version, weights_digest, roles, priority)
               VALUES ('brought', %s, %s, '{NCCT}', 10) ON CONFLICT DO NOTHING""",
            [card.version, card.weights.sha256],
        )
        shown = {model: plan.shown for model, plan in site.planned().items()}
        register_canaries(connection, {model: canary for model, canary in shown.items() if canary is not None})


def versions(site: Site) -> list[str]:
    with site.context.pool.connection() as connection:
        return [for_study(connection, f"1.2.{number}")[0].version for number in range(200)]


def test_a_canary_is_a_shadow_that_showed_its_worth_and_ends_at_once(site: Site) -> None:
    with pytest.raises(Refused, match="is no shadow"):
        begin_canary(site.context, site.shelf, "brought", "1.0.0", 0.25, account="ana")
    with pytest.raises(Refused, match=r"becomes no canary:\n0 studies were answered"):
        begin_canary(site.context, site.shelf, "brought", "2.0.0", 0.25, account="ana")
    for number in range(2):
        site.shadowing.run(site.context, site.answer(number))
    begin_canary(site.context, site.shelf, "brought", "2.0.0", 0.25, account="ana")
    serve(site)
    drawn = versions(site)
    assert 0.15 < drawn.count("2.0.0") / len(drawn) < 0.35
    assert versions(site) == drawn, "always the same studies"
    with pytest.raises(Refused, match="is a canary; end that first"):
        put_in_shadow(site.shelf, "brought", None, 1.0)

    assert roll_back(site.context, site.shelf, "brought", account="ana", reason="Too many flags.").version == "1.0.0"
    assert set(versions(site)) == {"1.0.0"}, "without a restart"
    assert site.planned() == {}
    kinds = site.rows("SELECT kind, source_version, target_version FROM promotion ORDER BY id")
    assert [tuple(row.values()) for row in kinds] == [("canary", "1.0.0", "2.0.0"), ("rollback", "2.0.0", "1.0.0")]


def test_beside_a_canarys_answer_the_live_version_answers_unseen(site: Site) -> None:
    identifier = site.answer(1)
    new, live = load_card("brought", "2.0.0"), load_card("brought")
    with site.context.pool.connection() as connection:
        connection.execute(
            "UPDATE analysis SET model_version = %s, weights_digest = %s WHERE id = %s",
            [new.version, new.weights.sha256, identifier],
        )
    site.models.application, site.models.version, site.models.weights = "brought", "1.0.0", live.weights.sha256
    site.models.columns, site.models.volume_ml = 3, 6.0
    before = site.everything()
    site.shadowing.run(site.context, identifier)
    assert site.everything() == before
    [row] = site.rows("SELECT * FROM shadow_answer")
    assert (row["version"], row["weights_digest"]) == (new.version, new.weights.sha256)
    assert row["labels"] == {"lesion": {"volume_ml": 5.0, "live_ml": 6.0, "dice": 0.8}}
    assert row["seconds"] == pytest.approx(3600, abs=60)
    site.accept(identifier, columns=2)
    evidence = gather(site.context, "brought", "2.0.0")
    assert evidence.studies == 1
    assert evidence.experts is not None
    assert (evidence.experts.new_dice, evidence.experts.live_dice) == (1.0, pytest.approx(0.8))


def test_what_the_live_version_fails_at_is_not_counted_against_a_canary(site: Site) -> None:
    identifier = site.answer(1)
    digest = load_card("brought", "2.0.0").weights.sha256
    with site.context.pool.connection() as connection:
        connection.execute("UPDATE analysis SET weights_digest = %s WHERE id = %s", [digest, identifier])
    site.shadowing.give_up(site.context, identifier, "The replica of brought failed.")
    assert site.rows("SELECT FROM shadow_answer") == []


def test_what_a_shadow_saw_and_said_is_what_later_studies_are_held_against_once_it_serves(site: Site) -> None:
    for number in range(FEWEST):
        identifier = site.answer(number)
        site.models.columns = 3 if number % 2 else 0
        site.shadowing.run(site.context, identifier)
    lenient = PromotionSettings(studies=2, flags_lost=1.0, dice=0.0)
    settings = site.context.settings.model_copy(update={"promotion": lenient})
    promote(replace(site.context, settings=settings), site.shelf, "brought", "2.0.0", account="ana")
    with site.context.pool.connection() as connection:
        reference = reference_of(connection, "brought", site.models.weights)
    assert reference is not None
    assert (reference.version, reference.studies) == ("2.0.0", FEWEST)
    # Its own answers, not those that readers saw: every other study is flagged, all with the same suspicion.
    flag = reference.spreads["flag"]
    assert (flag["names"], flag["counts"]) == (["no", "yes", "others"], [25, 25, 0])
    assert reference.spreads["lesion mL"]["counts"] == [25, 25, 0]
    assert reference.spreads["entropy"]["middle"] == pytest.approx(0.469, abs=1e-3)
