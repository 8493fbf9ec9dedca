"""Drift from the first study on: figures in the ledger, a reference at promotion or by hand, metrics, the command."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from psycopg.types.json import Jsonb
from support.triage import add_analysis, add_study, finish_analysis, run_analysis
from typer.testing import CliRunner

from models.registry import load_card
from services import cli
from services.context import Context
from services.ledger import drift as ledger
from services.ledger.served_models import ServedModel, register_models
from services.lifecycle.drift import FEWEST
from services.lifecycle.reference import record, watch
from services.operations.metrics import LedgerCollector

CARD = load_card("ich")
DIGEST = CARD.weights.sha256
SERVED = ServedModel("ich", CARD.version, DIGEST, ("NCCT",), (), 40)


def _answer(context: Context, numbers: range, *, scanner: str = "Albatross", intensity: float = 33.0) -> None:
    """Studies that ich answered: every fifth flagged, and of one scanner."""
    random = np.random.default_rng(numbers.start)
    with context.pool.connection() as connection:
        for number in numbers:
            study = add_study(connection, number, name="KANARIENVOGEL^HANS")
            analysis = add_analysis(connection, study)
            figures = {"NCCT": {"intensity": intensity + float(random.normal()), "slice step mm": 5.0}}
            connection.execute(
                """UPDATE series SET role_score = 3, attributes = %s WHERE study_uid = %s""",
                [Jsonb({"Manufacturer": "Nordwind", "ManufacturerModelName": scanner}), study],
            )
            connection.execute(
                """UPDATE analysis SET weights_digest = %s, model_version = %s, inputs = %s, figures = %s,
                       probabilities = %s WHERE id = %s""",
                [
                    DIGEST, CARD.version, Jsonb({"NCCT": f"{study}.2"}), Jsonb(figures),
                    Jsonb({"IPH": 0.9 if number % 5 == 0 else 0.02, "SDH": 0.01}), analysis,
                ],
            )  # fmt: skip
            run_analysis(connection, analysis)
            finish_analysis(connection, analysis, {"IPH": 8.0} if number % 5 == 0 else {})


@pytest.fixture
def site(context: Context) -> Context:
    register_models(context.pool, [SERVED])
    _answer(context, range(1, 101))
    return context


def _watched(context: Context) -> dict[str, bool]:
    with context.pool.connection() as connection:
        found = watch(connection, "ich", CARD.version, DIGEST)
    return {drift.figure: drift.drifted for drift in found.drifts}


def test_a_reference_is_of_images_and_answers_and_tells_another_scanner_from_more_of_the_same(site: Context) -> None:
    with site.pool.connection() as connection:
        [first, *_] = ledger.answered(connection, "ich", DIGEST)
        assert record(connection, CARD, account="ops") == 100
    assert set(first) == {
        "NCCT intensity", "NCCT slice step mm", "NCCT scanner", "NCCT role score",
        "flag", "entropy", "IPH mL", "SDH mL",
    }  # fmt: skip
    assert (first["NCCT scanner"], first["NCCT role score"], first["flag"], first["IPH mL"]) == (
        "Nordwind Albatross", 3, "yes", 8.0,
    )  # fmt: skip
    assert _watched(site) == {}
    _answer(site, range(201, 201 + FEWEST))
    found = _watched(site)
    assert set(found) == set(first)
    assert not any(found.values())
    _answer(site, range(401, 601), scanner="Dorsal", intensity=45.0)
    assert {figure for figure, drifted in _watched(site).items() if drifted} == {"NCCT intensity", "NCCT scanner"}


def test_metrics_and_the_command_say_what_drifted_and_no_scanner_or_patient(site: Context, tmp_path: Path) -> None:
    with site.pool.connection() as connection:
        record(connection, CARD, account="ops")
    _answer(site, range(401, 601), scanner="Dorsal", intensity=45.0)
    registry = CollectorRegistry()
    registry.register(LedgerCollector(site, ["router"]))
    text = generate_latest(registry).decode()
    who = f'model="ich",version="{CARD.version}"'
    assert f"nightjar_drift_studies{{{who}}} 200.0" in text
    assert f"nightjar_drift_reference_studies{{{who}}} 100.0" in text
    values = {
        (line.split("{")[0], line.split('"')[1]): float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith(("nightjar_drift_index{", "nightjar_drift_limit{"))
    }
    assert values["nightjar_drift_index", "NCCT intensity"] > values["nightjar_drift_limit", "NCCT intensity"]
    assert values["nightjar_drift_index", "flag"] < values["nightjar_drift_limit", "flag"]
    assert "Dorsal" not in text
    assert "KANARIENVOGEL" not in text
    config = tmp_path / "site.yaml"
    settings = {"data_dir": str(site.settings.data_dir), "database": {"url": site.settings.database_url}}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    program = CliRunner()
    said = program.invoke(cli.app, ["model", "drift", "ich", "--json", "--config", str(config)])
    assert said.exit_code == 1
    assert set(json.loads(said.stdout)[0]["drifted"]) == {"NCCT intensity", "NCCT scanner"}
    shown = program.invoke(cli.app, ["model", "drift", "--config", str(config)])
    assert f"ich {CARD.version}: 200 newest studies against 100 studies until" in shown.stdout
    assert "Dorsal" in shown.stdout
    anew = program.invoke(cli.app, ["model", "reference", "ich", "--config", str(config)])
    assert "held against 300" in anew.stdout
    assert program.invoke(cli.app, ["model", "drift", "ich", "--config", str(config)]).exit_code == 0


def test_too_few_studies_make_no_reference_and_a_version_without_one_drifts_from_nothing(context: Context) -> None:
    register_models(context.pool, [SERVED])
    _answer(context, range(1, FEWEST))
    with context.pool.connection() as connection:
        assert record(connection, CARD, account="ops") == FEWEST - 1
        assert ledger.reference_of(connection, "ich", DIGEST) is None
        found = watch(connection, "ich", CARD.version, DIGEST)
    assert (found.reference, found.drifts) == (None, ())
