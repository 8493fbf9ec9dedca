"""Which answers somebody should look at, by rule."""

from dataclasses import replace

import pytest

from services.ledger.selecting import Answer
from services.ledger.workitems import Cause
from services.review.selection import draw, why_select
from services.review.tasks import Creation, load_tasks

ANSWER = Answer(1, "1.2", "ich", "0.3.0", "digest", 3, {"NCCT": "1.2.3"}, {"IPH": 0.2}, (), ())
POINTS = {"IPH": 0.5}
TASK = load_tasks()["ich"]


def asked(answer: Answer, **rules: object) -> Cause | None:
    create = Creation.model_validate({"flags": False, "disagreements": False, "share": 0, "uncertainty": 0} | rules)
    why = why_select(answer, TASK.model_copy(update={"create": create}), POINTS)
    return why[0] if why is not None else None


@pytest.mark.parametrize(
    ("change", "rules", "cause"),
    [
        ({"findings": (("IPH", 3.0),)}, {"flags": True}, Cause.FLAG),
        ({"findings": (("IPH", 3.0),)}, {"flags": False}, None),
        ({"disagreements": ("Missed finding",)}, {"disagreements": True}, Cause.DISAGREEMENT),
        ({"disagreements": ("Artefact",), "findings": (("IPH", 3.0),)}, {"disagreements": True, "flags": True},
         Cause.DISAGREEMENT),
        ({"probabilities": {"IPH": 0.46}}, {"uncertainty": 0.05}, Cause.UNCERTAINTY),
        ({"probabilities": {"IPH": 0.44}}, {"uncertainty": 0.05}, None),
        ({"probabilities": {}}, {"uncertainty": 0.5}, None),
        ({}, {"share": 1}, Cause.SAMPLE),
        ({}, {"share": 0}, None),
    ],
)  # fmt: skip
def test_each_rule_alone(change: dict[str, object], rules: dict[str, object], cause: Cause | None) -> None:
    assert asked(replace(ANSWER, **change), **rules) is cause  # type: ignore[arg-type]


def test_a_share_is_drawn_by_content_and_about_so_large() -> None:
    drawn = [asked(replace(ANSWER, input_digest=str(number)), share=0.2) for number in range(500)]
    assert 70 < sum(cause is Cause.SAMPLE for cause in drawn) < 130
    assert drawn == [asked(replace(ANSWER, input_digest=str(number)), share=0.2) for number in range(500)]
    assert 0 <= draw("anything") < 1
