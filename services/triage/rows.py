"""From what the ledger knows to what a row says. Pure: facts, settings and the time in, words and order out.

The AI raises priority and nothing else: no wording here calls a study free of findings, and no study is left out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from models.card import SIGN, Measure
from models.prediction import Urgency
from services.languages import gettext, mark, ngettext
from services.languages.formats import format_day, format_number
from services.languages.recorded import say_again
from services.languages.speaking import look_up
from services.ledger.opinions import Opinion, dismissal
from services.ledger.worklist import FindingFacts, StudyFacts

_ML = "\u00a0mL"


class AiState(StrEnum):
    """What the AI has to say about a study. Silence has a word of its own."""

    RECEIVING = mark("Receiving")
    PENDING = mark("Pending")
    QUEUED = mark("Queued")
    RUNNING = mark("Running")
    FLAG = mark("Flag")
    NO_FLAG = mark("No flag raised")
    ENHANCED = mark("Images enhanced")
    NOT_ANALYSED = mark("Not analysed")
    FAILED = mark("Failed")

    @property
    def slug(self) -> str:
        return self.name.lower().replace("_", "-")


class Sort(StrEnum):
    PRIORITY = "priority"
    ARRIVAL = "arrival"


@dataclass(frozen=True)
class Row:
    """A worklist row, in words.

    Attributes:
        facts: the study it describes; its key is what the page calls it.
        urgency: priority as shown; never changed by waiting.
        promoted: why the row stands above its priority, or None.
        waited_since, waited_until: waiting runs from arrival until a claim; until is None while it runs.
        suspected: one text per finding, most urgent first, "Suspected IPH 12.3 mL".
        ai_note: the reason behind the AI state, or None.
        attention: an answer was expected and did not come, unlike for a study that no model fits.
        notes: what else went wrong, such as an undelivered result.
        preview: analysis whose picture to show, or None.
        alert: names the Immediate result nobody claimed or dismissed, for its banner; None when there is none.
        dismissed: the reader's opinion that dismissed every flag raised, which takes the row to its place by arrival.
    """

    facts: StudyFacts
    urgency: Urgency
    promoted: str | None
    waited_since: datetime
    waited_until: datetime | None
    patient: str
    patient_details: str
    study: str
    study_details: str
    suspected: tuple[str, ...]
    ai_state: AiState
    ai_note: str | None
    attention: bool
    notes: tuple[str, ...]
    preview: int | None
    reader: str | None
    alert: str | None
    dismissed: Opinion | None = None

    @property
    def key(self) -> str:
        return self.facts.key

    @property
    def order(self) -> tuple[int, int, datetime, str]:
        """Immediate first, then whoever waited too long, then by priority; the oldest first within each."""
        urgency = self.urgency if self.dismissed is None else Urgency.STANDARD
        group = 1 if urgency is Urgency.IMMEDIATE else 2 if self.promoted else 3
        return group, int(urgency), self.waited_since, self.key


@dataclass(frozen=True)
class Filters:
    """What a reader asked to see; none of it is patient data."""

    urgency: Urgency | None = None
    state: AiState | None = None
    sort: Sort = Sort.PRIORITY

    @property
    def active(self) -> bool:
        return self.urgency is not None or self.state is not None


@dataclass(frozen=True)
class Worklist:
    """The rows of one moment. Counts are of all studies, whatever is filtered."""

    rows: tuple[Row, ...]
    total: int
    hidden: int
    by_urgency: dict[Urgency, int]
    by_state: dict[AiState, int]
    flags_unclaimed: int


def build_worklist(
    studies: Sequence[StudyFacts], filters: Filters, now: datetime, maximum_wait: timedelta, limit: int
) -> Worklist:
    """Order, filter and count. `hidden` says how many matching rows did not fit `limit`; those are last in order."""
    every = [describe_study(study, now, maximum_wait) for study in studies]
    every.sort(
        key=(lambda row: row.order) if filters.sort is Sort.PRIORITY else (lambda row: (row.waited_since, row.key))
    )
    matching = [
        row for row in every if filters.urgency in (None, row.urgency) and filters.state in (None, row.ai_state)
    ]
    return Worklist(
        rows=tuple(matching[:limit]),
        total=len(every),
        hidden=max(0, len(matching) - limit),
        by_urgency=dict(Counter(row.urgency for row in every)),
        by_state=dict(Counter(row.ai_state for row in every)),
        flags_unclaimed=sum(
            row.ai_state is AiState.FLAG and row.reader is None and row.dismissed is None for row in every
        ),
    )


def describe_study(study: StudyFacts, now: datetime, maximum_wait: timedelta) -> Row:
    state = ai_state(study)
    urgency = Urgency(study.urgency)
    findings = current_findings(study)
    dismissed = dismissal_of(study)
    is_immediate = urgency is Urgency.IMMEDIATE and dismissed is None
    overdue = study.claimed_by is None and not is_immediate and now - study.arrived_at > maximum_wait
    pictures = [analysis for analysis in study.analyses if analysis.has_preview and analysis.state == "analysed"]
    pictures.sort(key=lambda analysis: (min((f.urgency for f in analysis.findings), default=9), -analysis.id))
    newest = max((analysis.id for analysis in study.analyses), default=0)
    return Row(
        facts=study,
        urgency=urgency,
        promoted=gettext("Moved up: waiting over %(wait)s", wait=_minutes(maximum_wait)) if overdue else None,
        waited_since=study.arrived_at,
        waited_until=study.claimed_at,
        patient=format_person_name(study.patient_name),
        patient_details=" · ".join(part for part in (study.patient_id, study.patient_sex, _age(study)) if part),
        study=study.description or gettext("No study description"),
        study_details=" · ".join(part for part in ("/".join(study.modalities), study.accession_number) if part),
        suspected=tuple(suspected(finding) for finding in findings),
        ai_state=state,
        ai_note=_ai_note(study, state),
        attention=study.state in ("failed", "parked"),
        notes=_notes(study, findings),
        preview=pictures[0].id if pictures else None,
        reader=study.claimed_by,
        alert=f"{study.key}-{newest}" if is_immediate and study.claimed_by is None else None,
        dismissed=dismissed,
    )


def ai_state(study: StudyFacts) -> AiState:
    """One word for a study. A flag shows as soon as one analysis raised it, and while later instances arrive."""
    states = {analysis.state for analysis in study.analyses}
    if study.state == "failed":
        return AiState.FAILED
    if current_findings(study):
        return AiState.FLAG
    if study.state == "receiving":
        return AiState.RECEIVING
    if study.state == "analysing":
        return AiState.RUNNING if "running" in states else AiState.QUEUED if "queued" in states else AiState.PENDING
    if study.state in ("not_applicable", "parked"):
        return AiState.NOT_ANALYSED
    # Only a study whose every current analysis gave its answer may say that none raised a flag, and one that made
    # images looked for none.
    if study.state != "analysed" or states != {"analysed"}:
        return AiState.PENDING
    return AiState.ENHANCED if all(analysis.has_image for analysis in study.analyses) else AiState.NO_FLAG


def current_findings(study: StudyFacts) -> tuple[FindingFacts, ...]:
    """Findings of the analyses that stand, most urgent first, then largest."""
    findings = [finding for analysis in study.analyses if analysis.state == "analysed" for finding in analysis.findings]
    return tuple(sorted(findings, key=lambda finding: (finding.urgency, -finding.volume_ml, finding.label)))


def dismissal_of(study: StudyFacts) -> Opinion | None:
    """The opinion that dismissed the last of a study's flags; None while one stands, or none was raised."""
    said = [
        dismissal(analysis.opinions)
        for analysis in study.analyses
        if analysis.state == "analysed" and analysis.findings
    ]
    dismissals = [opinion for opinion in said if opinion is not None]
    return max(dismissals, key=lambda opinion: opinion.at) if said and len(dismissals) == len(said) else None


def suspected(finding: FindingFacts) -> str:
    return gettext("Suspected %(finding)s", finding=f"{look_up(finding.label)} {format_volume(finding.volume_ml)}")


def format_volume(volume_ml: float) -> str:
    """Millilitres with the digits that mean something; number and unit never part at a line's end."""
    if volume_ml < 0.1:
        return f"<{format_number(0.1, 1)}{_ML}"
    return f"{format_number(volume_ml, 0 if volume_ml >= 99.95 else 1)}{_ML}"


def format_range(range_ml: tuple[float, float]) -> str:
    """`9.8 to 14.1 mL`, never parted at a line's end."""
    low, high = (format_volume(limit) for limit in range_ml)
    return gettext("%(low)s\u00a0to\u00a0%(high)s", low=low.removesuffix(_ML), high=high)


def format_measurement(value: float, measure: Measure) -> str:
    """One decimal, as far as these mean anything, and the UCUM unit as people write it; a sign or choice is words."""
    answer, unit = measure.answer(value), measure.unit
    if answer is not None:
        return look_up(answer.meaning)
    if unit == SIGN:
        return gettext("present") if value else gettext("absent")
    if unit.startswith("{"):  # UCUM's annotations: counts and ratios
        return format_number(value, 0 if value == round(value) else 2)
    if unit == "10*-6.mm2/s":
        return f"{format_number(value)}\u00a0×\u00a010⁻⁶\u00a0mm²/s"
    return f"{format_number(value, 1)}\u00a0{unit}"


def format_person_name(name: str | None) -> str:
    """DICOM's PN as people write it: `DOE^JANE^M=..` becomes `DOE, JANE M`; other scripts follow in brackets."""
    alphabetic, _, others = (name or "").partition("=")
    shown = [text for text in (_join_name(alphabetic, ", "), _join_name(others.partition("=")[0], " ")) if text]
    if not shown:
        return gettext("No patient name")
    return shown[0] if len(shown) == 1 else f"{shown[0]} ({shown[1]})"


def format_wait(wait: timedelta) -> str:
    """`47 s`, `12 min`, `3 h 05`, `2 d 4 h`: the digits a reader compares."""
    seconds = max(0, int(wait.total_seconds()))
    if seconds < 60:
        return gettext("%(seconds)s s", seconds=seconds)
    minutes = seconds // 60
    if minutes < 60:
        return gettext("%(minutes)s min", minutes=minutes)
    hours = minutes // 60
    if hours < 24:
        return gettext("%(hours)s h %(minutes)s", hours=hours, minutes=f"{minutes % 60:02d}")
    return gettext("%(days)s d %(hours)s h", days=hours // 24, hours=hours % 24)


def format_date(value: str | None) -> str | None:
    """DICOM's DA, 20261121, as 2026-11-21 or as the reader's language has it; what is no date stays as it came."""
    day = _parse_date(value)
    return value if day is None else format_day(day)


def _ai_note(study: StudyFacts, state: AiState) -> str | None:
    if state in (AiState.NOT_ANALYSED, AiState.FAILED):
        return say_again(study.reason) if study.reason else gettext("No reason was recorded.")
    if state is AiState.FLAG and study.state == "receiving":
        return gettext("More instances are arriving; the flag is from the earlier ones.")
    if state is AiState.FLAG and study.state == "analysing":
        return gettext("Another analysis is still under way.")
    if state is AiState.RECEIVING:
        return ngettext("%(num)s instance so far", "%(num)s instances so far", study.instances)
    if state is AiState.QUEUED:
        reasons = [analysis.reason for analysis in study.analyses if analysis.state == "queued" and analysis.reason]
        return gettext("Trying again. %(reason)s", reason=say_again(reasons[0])) if reasons else None
    return _images_note(study)


def _images_note(study: StudyFacts) -> str | None:
    """How many series were enhanced, and whether they went out; never a finding."""
    made = [analysis for analysis in study.analyses if analysis.state == "analysed" and analysis.has_image]
    if not made:
        return None
    sent = sum(analysis.image_sent for analysis in made)
    if sent < len(made):
        return ngettext(
            "%(num)s enhanced series not sent yet", "%(num)s enhanced series not sent yet", len(made) - sent
        )
    return ngettext("Enhanced series sent", "%(num)s enhanced series sent", sent)


def _notes(study: StudyFacts, findings: Sequence[FindingFacts]) -> tuple[str, ...]:
    notes = [
        gettext("Not delivered to %(destination)s", destination=name)
        for name in sorted({delivery.destination for delivery in study.parked})
    ]
    if study.urgency < Urgency.STANDARD and not findings:
        notes.append(gettext("Priority kept from an earlier result"))
    return tuple(notes)


def _join_name(group: str, separator: str) -> str:
    family, _, rest = group.partition("^")
    given = " ".join(part.strip() for part in rest.split("^")[:2] if part.strip())
    return separator.join(part for part in (family.strip(), given) if part)


def _age(study: StudyFacts) -> str | None:
    born, seen = _parse_date(study.patient_birth_date), _parse_date(study.study_date)
    if born is None or seen is None or seen < born:
        return None
    years = seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day))
    return gettext("%(years)s y", years=years)


def _parse_date(value: str | None) -> date | None:
    try:
        return datetime.strptime(value or "", "%Y%m%d").date()
    except ValueError:
        return None


def _minutes(wait: timedelta) -> str:
    return gettext("%(minutes)s min", minutes=f"{wait.total_seconds() / 60:g}")
