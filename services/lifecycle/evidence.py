"""What a shadow showed beside the live version, in figures, and whether it meets a site's policy. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from services.ledger.shadows import Pair
from services.settings import PromotionSettings


@dataclass(frozen=True)
class Experts:
    """Both versions against what experts accepted: mean Dice of all that is marked, over the studies they marked."""

    studies: int
    new_dice: float
    live_dice: float


@dataclass(frozen=True)
class LabelEvidence:
    """One label over the studies in which either version marks it.

    Attributes:
        dice: median overlap of the two.
        difference_ml: median of the absolute difference of volumes.
        bias_ml: mean of new less live.
    """

    studies: int
    dice: float
    difference_ml: float
    bias_ml: float


@dataclass(frozen=True)
class Evidence:
    """Attributes:
    studies: answered by both; failures: asked, and not answered by the new version.
    both, live_only, new_only, neither: studies by who raised a flag.
    time_ratio: median of new to live seconds, None without answers.
    """

    studies: int
    failures: int
    both: int
    live_only: int
    new_only: int
    neither: int
    labels: dict[str, LabelEvidence]
    time_ratio: float | None
    experts: Experts | None

    @property
    def flags_lost(self) -> float:
        """Share of the live version's flags that the new one would not raise."""
        flags = self.both + self.live_only
        return self.live_only / flags if flags else 0.0


def weigh(pairs: Sequence[Pair], score: Callable[[Pair], tuple[float, float] | None] = lambda _: None) -> Evidence:
    """The figures of all studies.

    Args:
        score: Dice of new and live against the experts' mask of a study; None where there is none.
    """
    answered = [pair for pair in pairs if pair.failure is None]
    flags = [(bool(pair.flag), pair.live_flag) for pair in answered]
    labels: dict[str, list[dict[str, float | None]]] = {}
    for pair in answered:
        for name, values in pair.labels.items():
            labels.setdefault(name, []).append(values)
    ratios = [pair.seconds / pair.live_seconds for pair in answered if pair.seconds and pair.live_seconds > 0]
    scores = [found for pair in answered if pair.expert_key is not None and (found := score(pair)) is not None]
    return Evidence(
        studies=len(answered),
        failures=len(pairs) - len(answered),
        both=flags.count((True, True)),
        live_only=flags.count((False, True)),
        new_only=flags.count((True, False)),
        neither=flags.count((False, False)),
        labels={name: _label(values) for name, values in sorted(labels.items())},
        time_ratio=median(ratios) if ratios else None,
        experts=Experts(len(scores), mean(new for new, _ in scores), mean(live for _, live in scores))
        if scores
        else None,
    )


def judge(evidence: Evidence, policy: PromotionSettings) -> list[str]:
    """What of a policy the evidence does not meet, a sentence each; empty: all is met."""
    asked = evidence.studies + evidence.failures
    flagged = evidence.both + evidence.live_only + evidence.new_only
    unmet = []
    if evidence.studies < policy.studies:
        unmet.append(f"{evidence.studies} studies were answered by both versions; {policy.studies} are asked for.")
    if flagged < policy.flagged:
        unmet.append(f"{flagged} studies were flagged by either version; {policy.flagged} are asked for.")
    if evidence.flags_lost > policy.flags_lost:
        unmet.append(f"{evidence.flags_lost:.1%} of the live flags would be lost; at most {policy.flags_lost:.1%} may.")
    if asked and evidence.failures / asked > policy.failures:
        unmet.append(f"{evidence.failures} of {asked} studies failed; at most {policy.failures:.1%} may.")
    if evidence.time_ratio is not None and evidence.time_ratio > policy.time_ratio:
        unmet.append(
            f"It takes {evidence.time_ratio:.2f} of the live time; at most {policy.time_ratio:.2f} is allowed."
        )
    unmet += [
        f"{name}: the median overlap with the live version is {label.dice:.2f}; at least {policy.dice:.2f} is needed."
        for name, label in evidence.labels.items()
        if label.dice < policy.dice
    ]
    scored = 0 if evidence.experts is None else evidence.experts.studies
    if scored < policy.experts:
        unmet.append(f"Experts accepted masks of {scored} of these studies; {policy.experts} are asked for.")
    if evidence.experts is not None and evidence.experts.new_dice < evidence.experts.live_dice - policy.experts_margin:
        unmet.append(
            f"Against the experts its Dice is {evidence.experts.new_dice:.2f}, the live version's "
            f"{evidence.experts.live_dice:.2f}; at most {policy.experts_margin:.2f} less is allowed."
        )
    return unmet


def _label(values: Sequence[dict[str, float | None]]) -> LabelEvidence:
    differences = [float(entry["volume_ml"] or 0) - float(entry["live_ml"] or 0) for entry in values]
    overlaps = [entry["dice"] for entry in values if entry["dice"] is not None]
    return LabelEvidence(
        studies=len(values),
        dice=median(overlaps) if overlaps else 1.0,
        difference_ml=median(abs(difference) for difference in differences),
        bias_ml=mean(differences),
    )
