"""Rules as data: the ones that ship pass their own examples, and a site's mistakes are all listed."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dicom_router.rules import Rules, load_rules, test_rules
from dicom_router.traits import fold
from services.errors import SettingsError
from services.ledger.routing import SeriesRow


@pytest.mark.parametrize("result", test_rules(None), ids=lambda result: result.name)
def test_the_examples_that_ship(result: object) -> None:
    assert result.passed, result  # type: ignore[attr-defined]


def _series(**changes: object) -> SeriesRow:
    values: dict[str, object] = {
        "series_uid": "1", "state": "complete", "reason": None, "modality": "CT", "description": "Head 5.0",
        "body_part": "HEAD", "study_description": None, "sending_ae": None, "instances": 32, "slices": 32,
        "b_value_max": None,
        "attributes": {},
    }  # fmt: skip
    return SeriesRow(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Schädel_nativ", "schadel nativ"),
        ("CRÂNE s/ injection", "crane s injection"),
        ("t2_tirm-dark.fluid", "t2 tirm dark fluid"),
        ("AX T2*", "ax t2*"),
        ("T1+C", "t1+c"),
        ("头颅平扫（5mm）", "头颅平扫 5mm"),
        ("뇌", "뇌"),
        ("Straße", "strasse"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_scores_prefer_soft_tissue_axial_original_five_millimetres() -> None:
    rules = load_rules(None)
    axial = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]}
    soft = rules.classify(_series(attributes={**axial, "ConvolutionKernel": "H31s", "SliceThickness": 5.0}))
    bone = rules.classify(_series(attributes={**axial, "ConvolutionKernel": "H60s", "SliceThickness": 5.0}))
    thin = rules.classify(_series(attributes={**axial, "ConvolutionKernel": "H31s", "SliceThickness": 0.6}))
    derived = rules.classify(_series(attributes={**axial, "ImageType": ["DERIVED"], "ConvolutionKernel": "H31s"}))
    assert soft.score > max(thin.score, derived.score) > bone.score
    assert "+30 soft-tissue kernel" in soft.merits
    assert "-40 bone or sharp kernel" in bone.merits


def test_the_first_match_wins_and_a_site_can_go_first_by_sending_ae(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    rule = {
        "name": "research",
        "role": "none",
        "because": "from the research scanner",
        "when": [{"sending_ae": ["R1"]}],
    }
    values = yaml.safe_load(yaml.safe_dump(_shipped()))
    values["rules"].insert(0, rule)
    file.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    rules = load_rules(file)
    found = rules.classify(_series(sending_ae="r1"))
    assert (found.role, found.reason) == (None, "From the research scanner (rule research).")
    assert rules.classify(_series(sending_ae="CT2")).role == "NCCT"


def _shipped() -> object:
    return yaml.safe_load((Path(__file__).parents[3] / "dicom_router" / "rules.yaml").read_text("utf-8"))


def test_every_mistake_is_listed_with_its_rule(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        """
        rules:
          - {name: first, role: NCT, because: x, when: [{modality: [CT]}]}
          - {name: second, role: T1, because: x, when: [{description: ['(']}]}
          - {name: third, role: T1, because: x, when: [{}]}
          - {name: fourth, role: T1, because: x, when: [{slice_thickness: {min: 1}}]}
        extra: 1
        """,
        "utf-8",
    )
    with pytest.raises(SettingsError) as caught:
        load_rules(file)
    text = str(caught.value)
    assert text.count(f"router.rules = {file}") == 5
    for named in ("rule first", "rule second", "rule third", "rule fourth", "extra", "regular expression"):
        assert named in text


@pytest.mark.parametrize("text", ["", "[1, 2]", "rules: {", "rules: 3"])
def test_what_is_no_rules_file_is_said_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"router\.rules"):
        load_rules(file)


def test_a_missing_file() -> None:
    with pytest.raises(SettingsError, match=r"router\.rules = /nowhere"):
        load_rules(Path("/nowhere"))


def test_a_failing_example_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        "rules: [{name: a, role: T1, because: x, when: [{modality: [MR]}]}]\n"
        "examples: [{name: wrong, role: T2, modality: MR}, {name: right, role: none, modality: CT}]\n",
        "utf-8",
    )
    assert [(result.name, result.passed, result.got) for result in test_rules(file)] == [
        ("wrong", False, "T1"),
        ("right", True, "none"),
    ]


_attributes = st.dictionaries(
    st.sampled_from(
        ["ImageType", "ConvolutionKernel", "SliceThickness", "ImageOrientationPatient", "ContrastBolusAgent"]
    ),
    st.text() | st.floats() | st.lists(st.floats(-1, 1), max_size=7) | st.lists(st.text(), max_size=3),
)


@given(st.text(max_size=80), st.sampled_from(["CT", "MR", "SR", "", None]), _attributes)
def test_any_series_is_classified_with_a_reason(
    description: str, modality: str | None, attributes: dict[str, object]
) -> None:
    rules: Rules = load_rules(None)
    found = rules.classify(_series(description=description, modality=modality, attributes=attributes))
    assert found.reason
