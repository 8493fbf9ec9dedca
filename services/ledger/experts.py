"""Models against experts: accepted labels beside the answers they correct, by who answered and who scanned."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import mean

from services.ledger.database import Connection

NOT_NAMED = "not named"


@dataclass(frozen=True)
class LabelPair:
    """One label that experts or the model marked in a study.

    Attributes:
        model_ml: of the finding, 0 where no flag was raised; expert_ml: of what was accepted.
        dice: None where the answer had no mask to compare with.
    """

    model_ml: float
    expert_ml: float
    dice: float | None


@dataclass(frozen=True)
class Corrected:
    """An accepted label of a study beside the answer it corrects; no patient data.

    Attributes:
        scanner: Manufacturer and ManufacturerModelName of the images.
        unchanged: accepted as the model drew it.
    """

    model: str
    model_version: str
    scanner: str
    unchanged: bool
    labels: dict[str, LabelPair]

    @property
    def is_flagged(self) -> bool:
        return any(pair.model_ml > 0 for pair in self.labels.values())

    @property
    def is_marked(self) -> bool:
        return any(pair.expert_ml > 0 for pair in self.labels.values())


@dataclass(frozen=True)
class LabelFigures:
    """One label over the studies in which either marks it.

    Attributes:
        dice: mean; None where no answer had a mask.
        bias_ml, error_ml: mean of the model's volume less the experts', and of its absolute value.
        agreed, missed, extra: studies that both mark, the experts alone, the model alone.
    """

    studies: int
    dice: float | None
    bias_ml: float
    error_ml: float
    agreed: int
    missed: int
    extra: int


@dataclass(frozen=True)
class Figures:
    """A model version on one scanner, or on all.

    Attributes:
        unchanged: studies accepted as the model drew them.
        agreed, missed, extra, neither: studies by who raised a flag: model and experts, experts alone, model alone,
            nobody.
    """

    studies: int
    unchanged: int
    agreed: int
    missed: int
    extra: int
    neither: int
    labels: dict[str, LabelFigures]


Group = tuple[str, ...]


def read_corrected(connection: Connection, since: datetime) -> list[Corrected]:
    """Labels accepted after `since` that are accepted still, of work alone; the oldest first."""
    rows = connection.execute(
        """SELECT a.model, a.model_version, n.labels, n.mask_digest = w.ai_digest AS unchanged,
                  concat_ws(' ', s.attributes ->> 'Manufacturer', s.attributes ->> 'ManufacturerModelName') AS scanner,
                  (SELECT coalesce(jsonb_object_agg(f.label, f.volume_ml), '{}')
                   FROM finding f WHERE f.analysis_id = a.id) AS findings
           FROM workitem w JOIN annotation n ON n.id = w.standing_id JOIN analysis a ON a.id = w.analysis_id
           JOIN series s ON s.series_uid = w.series_uid
           JOIN LATERAL (SELECT max(at) AS at FROM decision
                         WHERE workitem_id = w.id AND target = 'accepted') d ON d.at > %s
           WHERE w.state = 'accepted' AND w.purpose = 'work' ORDER BY d.at, w.id""",
        [since],
    ).fetchall()
    return [
        Corrected(
            model=row["model"],
            model_version=row["model_version"],
            scanner=row["scanner"].strip() or NOT_NAMED,
            unchanged=bool(row["unchanged"]),
            labels=_pairs(row["labels"], row["findings"]),
        )
        for row in rows
    ]


def _pairs(drawn: dict[str, dict[str, float | None]], findings: dict[str, float | None]) -> dict[str, LabelPair]:
    return {
        name: LabelPair(
            model_ml=findings.get(name) or 0.0,
            expert_ml=drawn.get(name, {}).get("volume_ml") or 0.0,
            dice=drawn.get(name, {}).get("dice_ai"),
        )
        for name in sorted(drawn.keys() | findings.keys())
    }


def group_by(corrected: Iterable[Corrected], name: Callable[[Corrected], Group]) -> dict[Group, Figures]:
    """The figures of each group, the largest first. Pure."""
    groups: dict[Group, list[Corrected]] = defaultdict(list)
    for each in corrected:
        groups[name(each)].append(each)
    found = {group: _figures(members) for group, members in groups.items()}
    return dict(sorted(found.items(), key=lambda entry: (-entry[1].studies, entry[0])))


def _figures(corrected: list[Corrected]) -> Figures:
    flags = [(each.is_flagged, each.is_marked) for each in corrected]
    labels: dict[str, list[LabelPair]] = defaultdict(list)
    for each in corrected:
        for name, pair in each.labels.items():
            if pair.model_ml > 0 or pair.expert_ml > 0:
                labels[name].append(pair)
    return Figures(
        studies=len(corrected),
        unchanged=sum(each.unchanged for each in corrected),
        agreed=flags.count((True, True)),
        missed=flags.count((False, True)),
        extra=flags.count((True, False)),
        neither=flags.count((False, False)),
        labels={name: _label(pairs) for name, pairs in sorted(labels.items())},
    )


def _label(pairs: list[LabelPair]) -> LabelFigures:
    differences = [pair.model_ml - pair.expert_ml for pair in pairs]
    overlaps = [pair.dice for pair in pairs if pair.dice is not None]
    flags = [(pair.model_ml > 0, pair.expert_ml > 0) for pair in pairs]
    return LabelFigures(
        studies=len(pairs),
        dice=mean(overlaps) if overlaps else None,
        bias_ml=mean(differences),
        error_ml=mean(map(abs, differences)),
        agreed=flags.count((True, True)),
        missed=flags.count((False, True)),
        extra=flags.count((True, False)),
    )
