"""Who may move a workitem from one state to another. One table; the ledger holds the same pairs. Pure."""

from dataclasses import dataclass

from services.errors import Reject
from services.ledger.accounts import Role
from services.ledger.workitems import State
from services.review.errors import Conflict, Forbidden

ANNOTATOR, REVIEWER, ARBITER = Role.ANNOTATOR, Role.REVIEWER, Role.ARBITER


@dataclass(frozen=True)
class Move:
    """What a move asks for.

    Attributes:
        roles: of the person who makes it; empty: only Nightjar does, by rule.
        needs_reason: whether nobody may make it without saying why.
        by_rule: whether Nightjar makes it too.
        opens_round: whether the readings begin again.
    """

    roles: frozenset[Role]
    needs_reason: bool = False
    by_rule: bool = False
    opens_round: bool = False


def _by(*roles: Role, **options: bool) -> Move:
    return Move(frozenset(roles), **options)


_EXCLUDE = _by(ANNOTATOR, REVIEWER, ARBITER, needs_reason=True, by_rule=True)

MOVES: dict[tuple[State, State], Move] = {
    (State.TO_ANNOTATE, State.ANNOTATED): _by(ANNOTATOR),
    (State.ANNOTATED, State.IN_REVIEW): _by(REVIEWER),
    (State.ANNOTATED, State.DISPUTED): _by(by_rule=True),
    (State.IN_REVIEW, State.ANNOTATED): _by(REVIEWER),
    (State.IN_REVIEW, State.ACCEPTED): _by(REVIEWER),
    (State.IN_REVIEW, State.RETURNED): _by(REVIEWER, needs_reason=True, opens_round=True),
    (State.IN_REVIEW, State.DISPUTED): _by(REVIEWER, needs_reason=True),
    (State.RETURNED, State.ANNOTATED): _by(ANNOTATOR),
    (State.DISPUTED, State.ARBITRATED): _by(ARBITER),
    (State.ARBITRATED, State.ACCEPTED): _by(REVIEWER),
    (State.ARBITRATED, State.DISPUTED): _by(REVIEWER, needs_reason=True),
    (State.ACCEPTED, State.IN_REVIEW): _by(REVIEWER, needs_reason=True),
    (State.TO_ANNOTATE, State.EXCLUDED): _EXCLUDE,
    (State.ANNOTATED, State.EXCLUDED): _EXCLUDE,
    (State.IN_REVIEW, State.EXCLUDED): _EXCLUDE,
    (State.RETURNED, State.EXCLUDED): _EXCLUDE,
    (State.DISPUTED, State.EXCLUDED): _EXCLUDE,
    (State.ARBITRATED, State.EXCLUDED): _EXCLUDE,
    (State.EXCLUDED, State.TO_ANNOTATE): _by(REVIEWER, needs_reason=True, opens_round=True),
}

OPEN = tuple(state for state in State if state not in (State.ACCEPTED, State.EXCLUDED))
"""States in which somebody still has something to do."""


def refuse_unless_legal(source: State, target: State, roles: frozenset[Role], reason: str | None) -> None:
    """Let a move pass that somebody with these roles may make.

    Raises:
        Conflict: the table does not have it, or only Nightjar makes it.
        Forbidden: none of the roles makes it.
        Reject: it needs a reason.
    """
    move = MOVES.get((source, target))
    if move is None:
        raise Conflict(f"A workitem that is {_words(source)} cannot become {_words(target)}.")
    if not move.roles:
        raise Conflict(f"Only Nightjar itself makes a workitem {_words(target)} that is {_words(source)}.")
    if not roles & move.roles:
        needed = " or ".join(sorted(move.roles))
        raise Forbidden(f"To make a workitem {_words(target)} that is {_words(source)} needs the role {needed}.")
    if move.needs_reason and not (reason or "").strip():
        raise Reject(f"Say why the workitem becomes {_words(target)}.")


def may_decide(source: State, target: State, roles: frozenset[Role]) -> bool:
    """Whether somebody with these roles makes this move by deciding, not by handing in a mask."""
    move = MOVES.get((source, target))
    hands_in = target is State.ARBITRATED or (target is State.ANNOTATED and source is not State.IN_REVIEW)
    return move is not None and not hands_in and bool(roles & move.roles)


def role_for(source: State, target: State, roles: frozenset[Role]) -> Role:
    """The role in which somebody makes a move that they may make: the highest of theirs."""
    allowed = MOVES[source, target].roles & roles
    return next(role for role in (ARBITER, REVIEWER, ANNOTATOR) if role in allowed)


def _words(state: State) -> str:
    return state.words.lower()
