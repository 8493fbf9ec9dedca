"""Which series of a study goes to which model, and why. Pure."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from dicom_router.rules import Classification, Rules
from services.ledger.routing import SeriesRow
from services.ledger.served_models import ServedModel

EACH = {"REDUCED"}
"""Roles whose every series is given to the model that reads them, and not the best alone."""


@dataclass(frozen=True)
class Run:
    """A model whose inputs are there.

    Attributes:
        inputs: Series Instance UID by role.
        reason: the choice in a sentence a role.
    """

    model: ServedModel
    inputs: Mapping[str, str]
    reason: str


@dataclass(frozen=True)
class Decision:
    """What becomes of a study now.

    Attributes:
        roles: every series' classification, its reason completed with what was chosen.
        runs: models that can work now.
        waiting: why other models may follow: a series that could serve them is still being received.
        parked: why a matching series cannot be used, a sentence a model.
        not_applicable: why no model fits; empty unless that is final.
    """

    roles: Mapping[str, Classification]
    reasons: Mapping[str, str]
    runs: tuple[Run, ...]
    waiting: tuple[str, ...]
    parked: tuple[str, ...]
    not_applicable: str


@dataclass(frozen=True)
class _Candidate:
    series: SeriesRow
    found: Classification

    @property
    def rank(self) -> tuple[int, int, str]:
        return (-self.found.score, -self.series.slices, self.series.series_uid)


def decide(series: Sequence[SeriesRow], rules: Rules, models: Sequence[ServedModel]) -> Decision:
    """Route a study by what is known of its series now."""
    roles = {one.series_uid: rules.classify(one) for one in series}
    candidates: dict[str, list[_Candidate]] = {}
    for one in series:
        for role in roles[one.series_uid].roles if one.instances else ():
            candidates.setdefault(role, []).append(_Candidate(one, roles[one.series_uid]))
    for group in candidates.values():
        group.sort(key=lambda candidate: candidate.rank)

    runs: list[Run] = []
    waiting: list[str] = []
    parked: list[str] = []
    for model in models:
        for one_each in _one_each(model, candidates):
            outcome = _for_model(model, one_each)
            if isinstance(outcome, Run):
                runs.append(outcome)
            elif outcome is not None:
                (waiting if outcome[0] == "receiving" else parked).append(outcome[1])
    lacking = _lacking(models, candidates)
    used = {(uid, role) for run in runs for role, uid in run.inputs.items()}
    open_series = sum(one.state == "receiving" for one in series)
    final = not runs and not parked and not open_series
    return Decision(
        roles=roles,
        reasons={
            uid: _explain(uid, found, candidates.get(found.role or "", []), used, lacking)
            for uid, found in roles.items()
        },
        runs=tuple(runs),
        waiting=tuple(waiting),
        parked=tuple(parked),
        not_applicable=_nothing_fits(series, roles, models, lacking) if final else "",
    )


def _one_each(
    model: ServedModel, candidates: Mapping[str, list[_Candidate]]
) -> Iterator[Mapping[str, list[_Candidate]]]:
    """What a model may choose from: everything, or, of the series that are completed, one at a time."""
    if set(model.roles) != EACH:
        yield candidates
        return
    for candidate in candidates.get(model.roles[0], []):
        yield {model.roles[0]: [candidate]}


def _for_model(model: ServedModel, candidates: Mapping[str, list[_Candidate]]) -> Run | tuple[str, str] | None:
    """A run; or (receiving | incomplete, why not now); or None where a needed role has no series at all."""
    chosen: dict[str, _Candidate] = {}
    hindrances: list[tuple[str, str]] = []
    for role in (*model.roles, *model.optional_roles):
        found = _best(role, candidates.get(role, []))
        if isinstance(found, _Candidate):
            chosen[role] = found
        elif found is not None and (role in model.read or found[0] == "receiving"):
            hindrances.append(found)
    if model.lacks(candidates):
        return None
    # Enough are complete already: others that are incomplete are done without.
    if model.fewest and not model.lacks(chosen):
        hindrances = [hindrance for hindrance in hindrances if hindrance[0] == "receiving"]
    if hindrances:
        return next((hindrance for hindrance in hindrances if hindrance[0] == "receiving"), hindrances[0])
    inputs = {role: candidate.series.series_uid for role, candidate in chosen.items()}
    return Run(model, inputs, " ".join(_choice(role, one, candidates[role]) for role, one in chosen.items()))


def _lacking(
    models: Sequence[ServedModel], candidates: Mapping[str, list[_Candidate]]
) -> dict[str, tuple[ServedModel, list[str]]]:
    """By role that is there: a model that reads it and cannot work, and the roles it is missing."""
    found: dict[str, tuple[ServedModel, list[str]]] = {}
    for model in models:
        missing = model.lacks(candidates)
        if missing:
            for role in model.read:
                if role in candidates:
                    found.setdefault(role, (model, missing))
    return found


def _best(role: str, ranked: Sequence[_Candidate]) -> _Candidate | tuple[str, str] | None:
    """The best complete series, unless a better one is still being received."""
    for candidate in ranked:
        if candidate.series.state == "complete":
            return candidate
        if candidate.series.state == "receiving":
            return "receiving", f"The series for {role} is still being received."
    if not ranked:
        return None
    return "incomplete", f"The series for {role} is incomplete: {ranked[0].series.reason or 'instances are missing'}"


def _choice(role: str, chosen: _Candidate, ranked: Sequence[_Candidate]) -> str:
    others = len(ranked) - 1
    among = f" among {len(ranked)} series" if others else ", the only series"
    merits = f" ({', '.join(chosen.found.merits)})" if chosen.found.merits and others else ""
    return f"{role}: best score {chosen.found.score}{among}{merits}."


def _explain(
    uid: str,
    found: Classification,
    ranked: Sequence[_Candidate],
    used: Set[tuple[str, str]],
    lacking: Mapping[str, tuple[ServedModel, list[str]]],
) -> str:
    if found.also is not None:
        chosen = (
            f"Chosen for {found.also}." if (uid, found.also) in used else f"No model can read it as {found.also} now."
        )
        first = _explain(uid, replace(found, also=None), ranked, used, lacking)
        return f"{first} {found.also_reason} {chosen}"
    if found.role is None:
        return found.reason
    merits = f": {', '.join(found.merits)}" if found.merits else ""
    said = f"{found.reason} Score {found.score}{merits}."
    if (uid, found.role) in used:
        return f"{said} Chosen for {found.role}."
    usable = [candidate for candidate in ranked if candidate.series.state != "incomplete"]
    place = next((index for index, candidate in enumerate(usable) if candidate.series.series_uid == uid), None)
    if place is None:
        return f"{said} Not chosen: it is incomplete."
    if place == 0 and found.role in lacking:
        model, missing = lacking[found.role]
        return f"{said} The best for {found.role}; {model.name} is missing {' and '.join(missing)}."
    if place == 0:
        return f"{said} The best for {found.role}; no model reads {found.role}."
    best = usable[0].found.score
    better = f"another series scores {best}" if best > found.score else "an equal series comes first"
    return f"{said} Not chosen: {better}."


def _nothing_fits(
    series: Sequence[SeriesRow],
    roles: Mapping[str, Classification],
    models: Sequence[ServedModel],
    lacking: Mapping[str, tuple[ServedModel, list[str]]],
) -> str:
    present = sorted({found.role for found in roles.values() if found.role is not None})
    needs = "; ".join(f"{model.name} needs {model.needs}" for model in models)
    if lacking:
        wanting = {model.name: missing for model, missing in lacking.values()}
        said = "; ".join(f"missing {' and '.join(missing)} for {name}" for name, missing in wanting.items())
        return f"Not applicable: {said}. The study has {', '.join(present)}."
    if present:
        return f"No model applies: the study has {', '.join(present)}, but {needs}."
    if len(series) == 1:
        only = next(iter(roles.values()))
        return f"No model applies: {needs}, and the only series has another use. {only.reason}"
    return f"No model applies: {needs}, and none of the {len(series)} series is that."
