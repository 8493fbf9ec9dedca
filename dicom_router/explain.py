"""What happened to a study, and why: what arrived, what proved it whole, what it was used for, where results went."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from services.errors import NightjarError
from services.ledger import history
from services.ledger.database import Pool


class UnknownUID(NightjarError):
    """The ledger knows neither a study nor a series of that UID."""


@dataclass(frozen=True)
class Explanation:
    """Rows of the ledger about one study, without its patient.

    Attributes:
        study: state, reason and times.
        series: what arrived, the evidence of its end, its role and why.
        associations: who sent it.
        analyses: which model worked on what, how the inputs were chosen, what was found.
        deliveries: which result went where.
        notifications: who was told of which answer.
        events: everything, in order.
    """

    study: dict[str, Any]
    series: list[dict[str, Any]]
    associations: list[dict[str, Any]]
    analyses: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    notifications: list[dict[str, Any]]
    events: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """The same, with times as ISO 8601 text, for JSON."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def explain(pool: Pool, uid: str) -> Explanation:
    """Gather what the ledger knows of a study, or of the study a series belongs to.

    Args:
        uid: of the study or a series, or the pseudonym under which logs and traces speak of the study.

    Raises:
        UnknownUID: nothing of it ever arrived.
    """
    with pool.connection() as connection:
        study_uid = history.study_of(connection, uid)
        if study_uid is None:
            raise UnknownUID(f"No study or series {uid} has arrived. Check the UID, and `nightjar status`.")
        return Explanation(
            study=history.study(connection, study_uid),
            series=history.series(connection, study_uid),
            associations=history.associations(connection, study_uid),
            analyses=history.analyses(connection, study_uid),
            deliveries=history.deliveries(connection, study_uid),
            notifications=history.notifications(connection, study_uid),
            events=history.events(connection, study_uid),
        )


def render(found: Explanation) -> RenderableType:
    """The explanation for a terminal."""
    study = found.study
    head = Text.assemble(
        ("Study ", "bold"), study["study_uid"], "  ", (study["state"].replace("_", " "), "bold"),
        f"\n{study['reason'] or ''}".rstrip(),
        f"\nIn logs and traces {study['pseudonym']}",
    )  # fmt: skip
    parts: list[RenderableType] = [head, _arrival(found), _series(found)]
    if found.analyses:
        parts.append(_analyses(found))
    if found.deliveries:
        parts.append(_deliveries(found.deliveries, "Result", "Deliveries"))
    if found.notifications:
        parts.append(_deliveries(found.notifications, "Kind", "Notifications"))
    parts.append(_events(found))
    return Group(*parts)


def _arrival(found: Explanation) -> Table:
    table = Table("Sender", "From", "Opened", "Ended", "Instances", "Refused", title="Arrived", title_justify="left")
    for row in found.associations:
        ended = f"{_time(row['closed_at'])} {row['ending']}" if row["closed_at"] else "open"
        cells = (row["calling_ae"], row["peer"], _time(row["opened_at"]), ended, row["instances"], row["rejected"])
        table.add_row(*(escape(str(cell)) for cell in cells))
    return table


def _series(found: Explanation) -> Table:
    table = Table("Series", "Instances", "State and evidence", "Role", "Why", title="Series", title_justify="left")
    for row in found.series:
        name = f"{row['modality'] or '?'} {row['description'] or ''}\n{row['series_uid']}"
        count = f"{row['instances']}" + (f" (+{row['conflicts']} conflicting)" if row["conflicts"] else "")
        state = f"{row['state']}: {row['reason']}" if row["reason"] else row["state"]
        table.add_row(*map(escape, (name, count, state, row["role"] or "none", row["role_reason"] or "not routed yet")))
    return table


def _analyses(found: Explanation) -> Table:
    table = Table("Model", "State", "Inputs and choice", "Findings", title="Analyses", title_justify="left")
    for row in found.analyses:
        inputs = "\n".join(f"{role} = {uid}" for role, uid in row["inputs"].items())
        findings = "\n".join(f"{f['label']} {f['volume_ml']:.1f} mL ({f['probability']:.2f})" for f in row["findings"])
        state = f"{row['state']}: {row['reason']}" if row["reason"] else row["state"]
        model = f"{row['model']} {row['model_version']}"
        table.add_row(*map(escape, (model, state, f"{inputs}\n{row['choice'] or ''}".strip(), findings or "none")))
    return table


def _deliveries(rows: list[dict[str, Any]], what: str, title: str) -> Table:
    table = Table(what, "Destination", "State", "Tries", "When", title=title, title_justify="left")
    for row in rows:
        state = f"{row['state']}: {row['reason']}" if row["reason"] else row["state"]
        cells = (row["kind"].upper(), row["destination"], state, str(row["attempts"]), _time(row["delivered_at"]))
        table.add_row(*map(escape, cells))
    return table


def _events(found: Explanation) -> Table:
    table = Table("When", "What", "Event", title="Events", title_justify="left")
    for row in found.events:
        detail = row["detail"]
        move = f"{detail.get('from') or 'new'} -> {detail.get('to')}"
        said = move if row["kind"] == "state" else row["kind"]
        table.add_row(_time(row["at"]), escape(f"{row['entity']} {row['entity_id']}"), escape(said))
    return table


def _time(value: datetime | None) -> str:
    return value.astimezone().strftime("%H:%M:%S.%f")[:-3] if value else ""


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value
