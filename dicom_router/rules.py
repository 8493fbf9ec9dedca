"""Routing rules: data in YAML, typed, every mistake listed by rule name; what a series is for, and how well it suits.

The first rule that matches decides a series' role, or names why it has none. Scores then rank the series of one role.
Text is matched with case, accents and punctuation folded away, so `Hirn_nativ`, `CRÂNE` and `crane` need one pattern.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from dicom_router.geometry import Orientation
from dicom_router.traits import Traits, traits_of
from services.errors import SettingsError
from services.ledger.routing import SeriesRow

Role = Literal["T1", "T1c", "T2", "FLAIR", "PD", "DWI", "ADC", "NCCT", "CTA", "CTP", "REDUCED"]
RoleOrNone = Literal["T1", "T1c", "T2", "FLAIR", "PD", "DWI", "ADC", "NCCT", "CTA", "CTP", "none"]


def _compiles(pattern: str) -> str:
    try:
        re.compile(f"(?:{pattern})")  # as it is used
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


@cache
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    # There are more of them than the cache of `re` holds.
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


Pattern = Annotated[str, AfterValidator(_compiles)]
Patterns = tuple[Pattern, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Range(_Strict):
    """Both ends belong to it."""

    min: float | None = None
    max: float | None = None

    def holds(self, value: float | None) -> bool:
        return value is not None and (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


class Condition(_Strict):
    """Holds where everything it names holds; a list of patterns or values holds where one of them does.

    `description` is the series description, or the protocol name where a scanner left it empty. An attribute a header
    lacks satisfies no condition on it.
    """

    modality: tuple[str, ...] = ()
    description: Patterns = ()
    not_description: Patterns = ()
    study: Patterns = ()
    not_study: Patterns = ()
    body_part: Patterns = ()
    not_body_part: Patterns = ()
    kernel: Patterns = ()
    sequence: Patterns = ()
    manufacturer: Patterns = ()
    sending_ae: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    not_image_type: tuple[str, ...] = ()
    orientation: tuple[Orientation, ...] = ()
    contrast: bool | None = None
    slice_thickness_mm: Range | None = None
    coverage_mm: Range | None = None
    instances: Range | None = None
    slices: Range | None = None
    repetition_time_ms: Range | None = None
    echo_time_ms: Range | None = None
    inversion_time_ms: Range | None = None
    b_value: Range | None = None
    gantry_tilt_degrees: Range | None = None
    phase_resolution_percent: Range | None = None
    reconstruction_diameter_mm: Range | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("an empty condition holds for every series; name at least one attribute")
        return self

    def holds(self, traits: Traits) -> bool:
        return (
            (not self.modality or traits.modality in self.modality)
            and all(
                self._any(name, getattr(traits, name))
                for name in ("description", "study", "body_part", "kernel", "sequence", "manufacturer")
            )
            and not any(
                getattr(self, f"not_{name}") and self._any(f"not_{name}", getattr(traits, name))
                for name in ("description", "study", "body_part")
            )
            and (not self.sending_ae or traits.sending_ae in map(str.casefold, self.sending_ae))
            and (not self.image_type or not traits.image_type.isdisjoint(self.image_type))
            and traits.image_type.isdisjoint(self.not_image_type)
            and (not self.orientation or traits.orientation in self.orientation)
            and self.contrast in (None, traits.contrast)
            and all(span.holds(traits.numbers[name]) for name, span in self._ranges)
        )

    def _any(self, name: str, text: str) -> bool:
        patterns: Patterns = getattr(self, name)
        return not patterns or _compiled(patterns).search(text) is not None

    @cached_property
    def _ranges(self) -> list[tuple[str, Range]]:
        return [(name, value) for name in type(self).model_fields if isinstance(value := getattr(self, name), Range)]


class Rule(_Strict):
    """Gives a role, or takes a series out (`role: none`)."""

    name: str
    role: RoleOrNone
    because: str
    when: tuple[Condition, ...] = Field(min_length=1, description="Alternatives.")

    def holds(self, traits: Traits) -> bool:
        return any(condition.holds(traits) for condition in self.when)


class Also(_Strict):
    """A second role of series that have one of some roles already."""

    name: str
    role: Role
    of: tuple[Role, ...] = Field(min_length=1)
    because: str
    when: tuple[Condition, ...] = Field(min_length=1, description="Alternatives.")


class Score(_Strict):
    """Points, for or against, among the series of some roles."""

    name: str
    roles: tuple[Role, ...] = Field(min_length=1)
    points: int
    because: str
    when: tuple[Condition, ...] = Field(min_length=1, description="Alternatives.")


class Example(_Strict):
    """A series and the role it must get; `attributes` by DICOM keyword."""

    name: str
    role: RoleOrNone
    also: Role | None = None
    modality: str
    description: str = ""
    study: str = ""
    body_part: str = ""
    sending_ae: str = ""
    instances: int = 32
    b_value: float | None = None
    attributes: dict[str, Any] = {}

    def series(self) -> SeriesRow:
        return SeriesRow(
            series_uid=self.name,
            state="complete",
            reason=None,
            modality=self.modality,
            description=self.description,
            body_part=self.body_part,
            study_description=self.study,
            sending_ae=self.sending_ae,
            instances=self.instances,
            slices=self.instances * self.attributes.get("NumberOfFrames", 1),
            b_value_max=self.b_value,
            attributes=self.attributes,
        )


@dataclass(frozen=True)
class Classification:
    """A series' role (None: it is not for any model), why, and how well it suits the role.

    Attributes:
        score: points; more is better.
        merits: what gave or took points, such as "+30 soft-tissue kernel".
        also: a second role that another model reads it by, and why in `also_reason`.
    """

    role: Role | None
    rule: str
    reason: str
    score: int = 0
    merits: tuple[str, ...] = ()
    also: Role | None = None
    also_reason: str = ""

    @property
    def roles(self) -> tuple[Role, ...]:
        return tuple(role for role in (self.role, self.also) if role is not None)


class Rules(_Strict):
    """The whole file."""

    words: dict[str, Patterns] = Field({}, description="Lists of patterns to share by YAML anchor.")
    rules: tuple[Rule, ...] = Field(min_length=1)
    also: tuple[Also, ...] = ()
    scores: tuple[Score, ...] = ()
    examples: tuple[Example, ...] = ()

    @model_validator(mode="after")
    def _unique_names(self) -> Self:
        for kind in ("rules", "also", "scores", "examples"):
            names = [entry.name for entry in getattr(self, kind)]
            doubles = sorted({name for name in names if names.count(name) > 1})
            if doubles:
                raise ValueError(f"{kind}: two are called {', '.join(doubles)}")
        return self

    def classify(self, series: SeriesRow) -> Classification:
        """The role of a series by the first rule that matches, with its score."""
        traits = traits_of(series)
        rule = next((rule for rule in self.rules if rule.holds(traits)), None)
        if rule is None:
            return Classification(None, "", "No rule matches.")
        because = rule.because[:1].upper() + rule.because[1:]
        if rule.role == "none":
            return Classification(None, rule.name, f"{because} (rule {rule.name}).")
        earned = [
            score
            for score in self.scores
            if rule.role in score.roles and any(condition.holds(traits) for condition in score.when)
        ]
        merits = tuple(f"{score.points:+d} {score.because}" for score in earned)
        total = sum(score.points for score in earned)
        second = next(
            (
                also
                for also in self.also
                if rule.role in also.of and any(condition.holds(traits) for condition in also.when)
            ),
            None,
        )
        return Classification(
            rule.role,
            rule.name,
            f"{because} (rule {rule.name}).",
            total,
            merits,
            also=None if second is None else second.role,
            also_reason=""
            if second is None
            else f"{second.because[:1].upper()}{second.because[1:]} (rule {second.name}).",
        )


def load_rules(path: Path | None) -> Rules:
    """Read a rules file, or the one that ships.

    Raises:
        SettingsError: with a line for each mistake, naming the rule.
    """
    if path is None:
        return _parse(files("dicom_router").joinpath("rules.yaml").read_text("utf-8"), "the rules that ship")
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise SettingsError(f"router.rules = {path}: {error.strerror}.") from error
    return _load(path, changed)


@lru_cache(maxsize=4)
def _load(path: Path, changed: int) -> Rules:  # noqa: ARG001 - a changed file is read again
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"router.rules = {path}: cannot be read ({type(error).__name__}).") from error
    return _parse(text, str(path))


@lru_cache(maxsize=4)
def _parse(text: str, where: str) -> Rules:
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"router.rules = {where}: not YAML: {' '.join(str(error).split())}") from error
    try:
        return Rules.model_validate(values)
    except ValidationError as error:
        problems = error.errors()
        # A list is called too short when its only entry is wrong: the entry's own mistake says it all.
        inner = {location[:length] for location in (p["loc"] for p in problems) for length in range(len(location))}
        shown = [problem for problem in problems if problem["loc"] not in inner]
        lines = [f"router.rules = {where}: {_describe(problem, values)}" for problem in shown]
        raise SettingsError("\n".join(lines)) from error


def _describe(problem: Any, values: Any) -> str:
    location: Sequence[Any] = problem["loc"]
    parts = list(location)
    if len(parts) >= 2 and isinstance(parts[1], int):
        entry = values[parts[0]][parts[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        parts[:2] = [f"{str(parts[0]).removesuffix('s')} {name or f'number {parts[1] + 1}'}"]
    return f"{'.'.join(map(str, parts)) or 'the file'}: {problem['msg']}."


@dataclass(frozen=True)
class ExampleResult:
    name: str
    expected: str
    got: str
    reason: str

    @property
    def passed(self) -> bool:
        return self.expected == self.got


def test_rules(path: Path | None) -> list[ExampleResult]:
    """Run a file's examples.

    Raises:
        SettingsError: the file is not a rules file.
    """
    rules = load_rules(path)
    results = []
    for example in rules.examples:
        found = rules.classify(example.series())
        expected, got = (
            " and ".join((role, *((also,) if also else ())))
            for role, also in ((example.role, example.also), (found.role or "none", found.also))
        )
        results.append(ExampleResult(example.name, expected, got, " ".join((found.reason, found.also_reason)).strip()))
    return results


test_rules.__test__ = False  # type: ignore[attr-defined]
