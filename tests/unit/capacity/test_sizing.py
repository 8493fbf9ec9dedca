"""How many replicas: enough for the goal, more for more, and as said when they are given."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.capacity.calibration import parse, read_calibration
from services.capacity.curves import Axis, Line, draw
from services.capacity.sizing import Goal, size
from services.cli import app
from services.errors import SettingsError

STAGES = {"complete": 0.2, "route": 0.1, "queue": 0.0, "infer": 4.0, "encode": 1.0, "deliver": 0.3}
CPU = {"router": 0.5, "worker": 0.8, "inference": 4.0, "postgres": 0.2}


def run(**infer_s: float) -> dict[str, Any]:
    """A load.json's content: these models with these seconds of work, and studies no model is meant for."""
    alone = {
        f"of-{model}": {
            "model": model, "instances": 34, "megabytes": 17.0, "analyses": 1,
            "stages_s": STAGES | {"infer": seconds}, "cpu_s": CPU | {"inference": seconds},
        }
        for model, seconds in infer_s.items()
    }  # fmt: skip
    alone["other"] = {"model": "", "instances": 30, "megabytes": 15.0, "analyses": 0, "stages_s": {}, "cpu_s": CPU}
    mix = {name: 0.5 / len(infer_s) for name in alone} | {"other": 0.5}
    data = {"plan": {"studies_per_day": 1000, "compression": 2.0}, "mix": mix, "alone": alone}
    return {"conditions": "Invented.", "at": "2026-01-01T00:00:00", "commit": "abc", "data": data}


@pytest.mark.parametrize("per_day", [300, 30_000])
def test_the_answer_meets_its_goal_and_one_replica_less_of_the_slow_model_does_not(per_day: float) -> None:
    calibration = parse(run(ich=4.0, enhance=20.0))
    answer = size(calibration, per_day)
    assert answer.reached
    assert answer.waits["ich"].wait_p95_s <= Goal().urgent_s
    assert answer.waits["enhance"].wait_p95_s <= Goal().routine_s
    assert all(0 < busy < 1 for busy in answer.busy.values())
    if answer.replicas["ich"] > 1:
        fewer = size(calibration, per_day, given={"ich": answer.replicas["ich"] - 2 or 1})
        assert fewer.waits["ich"].wait_p95_s > answer.waits["ich"].wait_p95_s


def test_more_studies_never_need_fewer_replicas() -> None:
    calibration = parse(run(ich=4.0))
    answers = [size(calibration, per_day) for per_day in (1000, 100_000)]
    for fewer, more in pairwise(answers):
        assert all(more.replicas[name] >= count for name, count in fewer.replicas.items())
        assert more.cores["postgres"] > fewer.cores["postgres"]


def test_a_million_studies_a_day_are_answered() -> None:
    answer = size(parse(run(ich=4.0)), 1_000_000)
    assert answer.reached
    assert answer.studies_per_s > 20  # the busiest hour has a twelfth of the day
    assert answer.replicas["ich"] > answer.studies_per_s * 0.5 * 4
    assert answer.beyond_measured == 500


def test_too_few_replicas_are_said_to_be() -> None:
    answer = size(parse(run(ich=4.0)), 100_000, given={"ich": 1})
    assert (answer.reached, answer.replicas["ich"], answer.busy["ich"]) == (False, 1, 1.0)
    assert answer.waits["ich"].p50_s > 60


def test_an_idle_hospital_waits_for_nothing_but_the_work() -> None:
    answer = size(parse(run(ich=4.0)), 10)
    assert answer.waits["ich"].wait_p95_s == pytest.approx(0, abs=0.5)
    assert 3 < answer.waits["ich"].p50_s < 6


def test_the_command_answers_for_people_and_for_programs_and_draws(tmp_path: Path) -> None:
    measured = tmp_path / "load.json"
    measured.write_text(json.dumps(run(ich=4.0)))
    said = CliRunner().invoke(
        app,
        ["capacity", "--studies-per-day", "1000", "--calibration", str(measured), "--json", "--out", str(tmp_path)],
    )
    assert said.exit_code == 0, said.output
    answer = json.loads(said.stdout)
    assert answer["replicas"].keys() == {"router", "worker", "inference", "ich"}
    assert answer["calibration"]["conditions"] == "Invented."
    assert {Path(path).name for path in answer["files"]} == {
        "capacity.html", "capacity-replicas.svg", "capacity-waits.svg", "capacity-day.svg"
    }  # fmt: skip
    assert "<svg" in (tmp_path / "capacity.html").read_text()
    few = CliRunner().invoke(
        app, ["capacity", "--studies-per-day", "90000", "--with", "ich=1", "--calibration", str(measured)]
    )
    assert few.exit_code == 1
    assert "not reached" in few.output


def test_what_ships_is_a_calibration_of_every_model_measured() -> None:
    shipped = read_calibration()
    assert {"ich", "ais", "enhance"} == set(shipped.models)
    assert sum(kind.share for kind in shipped.kinds) == pytest.approx(1)
    assert all(kind.stages_s["infer"] > 0 for kind in shipped.kinds if kind.model)


def test_a_file_that_is_no_load_run_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"figures": []}')
    with pytest.raises(SettingsError, match=r"--calibration .*other.json: no figures of a load run"):
        read_calibration(other)


def test_a_curve_is_read_out_by_its_title_and_escapes_names() -> None:
    drawn = draw("Waits & more", Axis("<x>", log=True), Axis("s"), [Line("a<b", [(1, 0.5), (1000, 20)])])
    assert 'aria-label="Waits &amp; more"' in drawn
    assert "a&lt;b" in drawn
    assert "<x>" not in drawn
