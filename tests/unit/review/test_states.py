"""The table of moves: roles, reasons, and the same pairs as the ledger's."""

import re
from importlib.resources import files
from itertools import product

import pytest

from services.errors import Reject
from services.ledger.accounts import Role
from services.ledger.workitems import State
from services.review.errors import Conflict, Forbidden
from services.review.states import MOVES, may_decide, refuse_unless_legal


def test_the_ledger_has_the_same_moves() -> None:
    schema = files("services.ledger").joinpath("schema.sql").read_text()
    pairs = set(re.findall(r"\('workitem', '(\w+)', '(\w+)'\)", schema))
    assert pairs == {(source.value, target.value) for source, target in MOVES}


@pytest.mark.parametrize(("source", "target"), list(product(State, State)))
def test_a_move_needs_its_role_and_its_reason(source: State, target: State) -> None:
    move = MOVES.get((source, target))
    for role in Role:
        roles = frozenset({role})
        if move is None or not move.roles:
            with pytest.raises(Conflict):
                refuse_unless_legal(source, target, roles, "Because.")
        elif role not in move.roles:
            with pytest.raises(Forbidden, match="needs the role"):
                refuse_unless_legal(source, target, roles, "Because.")
        else:
            refuse_unless_legal(source, target, roles, "Because.")
            if move.needs_reason:
                with pytest.raises(Reject, match="Say why"):
                    refuse_unless_legal(source, target, roles, " ")


def test_handing_in_is_no_decision() -> None:
    everybody = frozenset(Role)
    assert not may_decide(State.TO_ANNOTATE, State.ANNOTATED, everybody)
    assert not may_decide(State.DISPUTED, State.ARBITRATED, everybody)
    assert may_decide(State.IN_REVIEW, State.ANNOTATED, everybody)
    assert not may_decide(State.ACCEPTED, State.RETURNED, everybody)


def test_every_state_but_the_first_can_be_reached_and_nobody_is_stuck() -> None:
    assert {target for _, target in MOVES} == set(State)
    assert {source for source, _ in MOVES} == set(State)
