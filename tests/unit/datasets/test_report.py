"""The three files say the same, hide nothing, and need nothing beside them."""

import csv
import json
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.labelled import SmallModel, box, load_small, small_card, write_study

from services.datasets.evaluation.agreement import bland_altman
from services.datasets.evaluation.figures import WIDTH, bland_altman_figure, roc_figure, scatter_figure
from services.datasets.evaluation.files import as_csv, as_json, prepare_folder, write_files
from services.datasets.evaluation.report import number, render_report
from services.datasets.evaluation.run import Evaluation, Request, evaluate
from services.errors import SettingsError


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    base = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for k in range(24):
        truth = box(1, 20 + 8 * k if k % 2 else 0)
        answer = box(1, 20 + 7 * k if k % 2 else 0)
        p = float(np.clip(random.normal(0.7 if k % 2 else 0.3, 0.2), 0.01, 0.99))
        write_study(base, f"s<{k:02d}>", answer=answer, probabilities=[p, 0.1], truth=truth, broken=k == 7)
    (base / "limits.yaml").write_text("blot: {auc: 0.5, icc: 0.999}\nstain: {sensitivity: 0.5}\n")
    request = Request(
        "small",
        base / "images",
        base / "truth",
        "heads & tails",
        synthetic=True,
        limits=base / "limits.yaml",
        calibrate=True,
    )
    return evaluate(request, on=date(2026, 11, 21), load=load_small)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for key, value in attrs if key in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "circle", "path", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("circle", "path", "rect"):
            return
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_stands_alone_is_well_formed_and_says_what_it_is(evaluation: Evaluation) -> None:
    html = render_report(evaluation)
    page = _Page()
    page.feed(html)
    assert page.open == []
    assert page.references == []
    assert "url(" not in html
    text = " ".join(" ".join(page.text).split())
    for part in (
        "small 1.0.0 on heads & tails",
        "Prioritisation only. Not for diagnosis.",
        "Synthetic images: not clinical accuracy.",
        "23 analysed of 24",
        "1 failed",
        "The site's limits: not met.",
        "cannot be judged",
        "s<07> failed The image is broken on purpose.",
        "NSD at 2 mm",
        "Beside ABC/2",
    ):
        assert part in text, part
    assert "<07>" not in html


def test_real_patients_are_not_called_synthetic(evaluation: Evaluation) -> None:
    html = render_report(replace(evaluation, synthetic=False))
    assert "Synthetic images" not in html
    assert as_json(replace(evaluation, synthetic=False))["synthetic"] is None


def test_json_holds_the_figures_and_the_calibration(evaluation: Evaluation) -> None:
    content = as_json(evaluation)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    blot = content["labels"]["blot"]
    assert blot["detection"]["sensitivity"]["of"] == 11
    assert blot["volume"]["icc"]["value"] == pytest.approx(evaluation.summary.labels["blot"].volume.icc.value)
    assert content["labels"]["stain"]["volume"] is None
    assert content["not_analysed"] == [
        {"study": "s<07>", "outcome": "failed", "reason": "The image is broken on purpose."}
    ]
    assert content["acceptance"]["judgement"] == "not met"
    assert content["calibration"]["labels"]["blot"]["calibration"]["slope"] > 0
    assert content["calibration"]["labels"]["stain"]["calibration"] is None
    assert content["model"]["weights_sha256"] == "ab" * 32


def test_one_row_a_study(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(StringIO(as_csv(evaluation))))
    assert [row["study"] for row in rows] == [f"s<{k:02d}>" for k in range(24)]
    bad, good = rows[7], rows[9]
    assert (bad["outcome"], bad["blot truth"], bad["any finding"]) == ("failed", "", "")
    assert (good["outcome"], good["blot truth"], good["stain truth"]) == ("analysed", "1", "0")
    assert float(good["blot truth mL"]) == pytest.approx(0.02 * (20 + 72))
    assert good["stain Dice"] == ""
    assert all(None not in row and None not in row.values() for row in rows)


def test_files_are_written_or_the_folder_is_named(evaluation: Evaluation, tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a/b")
    content = write_files(evaluation, tmp_path / "a/b")
    assert json.loads((tmp_path / "a/b/evaluation.json").read_text()) == content
    assert {p.name for p in (tmp_path / "a/b").iterdir()} == {"evaluation.json", "evaluation.html", "cases.csv"}
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"--out .*file.*Name a folder that can be written"):
        prepare_folder(tmp_path / "file")
    with pytest.raises(SettingsError, match="Name a folder that can be written"):
        write_files(evaluation, tmp_path / "absent")


def test_a_table_without_voxels_leaves_their_parts_out(tmp_path: Path) -> None:
    for k in range(4):
        write_study(tmp_path, f"s{k}", answer=box(1, 30 * (k % 2)), probabilities=[0.2 + 0.5 * (k % 2), 0.0])
    (tmp_path / "truth/studies.csv").write_text("study,any\ns0,0\ns1,1\ns2,0\ns3,1\n")
    found = evaluate(
        Request("small", tmp_path / "images", tmp_path / "truth", "reads"), on=date(2026, 1, 2), load=load_small
    )
    assert found.summary.labels["any"].detection.sensitivity.value == 1
    assert found.summary.labels["blot"].detection.positives == 0
    html = render_report(found)
    for part in ("<h2>Volume</h2>", "<h2>Overlap</h2>", "<h2>Calibration</h2>", "<h2>Acceptance</h2>", "AUC of slices"):
        assert part not in html
    assert "<h2>Detection</h2>" in html


def test_numbers_have_a_real_minus_and_no_minus_zero() -> None:
    assert (number(-1.25, 1), number(-0.04, 1), number(None)) == ("−1.2", "0.0", "–")


@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=30),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12),
)
def test_every_point_of_any_figure_lies_in_the_picture(points: list[tuple[float, float]], label: str) -> None:
    agreement = bland_altman(np.array([t for t, _ in points]), np.array([a for _, a in points]))
    for svg in (scatter_figure(label, points), bland_altman_figure(label, points, agreement)):
        picture = ElementTree.fromstring(svg)
        assert label in picture.get("aria-label", "")
        dots = [c for c in picture.iter("circle") if c.get("class") == "dot"]
        assert len(dots) == len(points)
        for dot in dots:
            assert 0 <= float(dot.get("cx", "nan")) <= WIDTH
            assert 0 <= float(dot.get("cy", "nan")) <= 252


def test_the_ring_marks_the_operating_point() -> None:
    picture = ElementTree.fromstring(roc_figure("blot", [(0, 0), (0.2, 0.9), (1, 1)], (0.0, 1.0)))
    (ring,) = (c for c in picture.iter("circle") if c.get("class") == "point")
    curve = next(p for p in picture.iter("path") if p.get("class") == "curve")
    left = float(curve.get("d", "")[1:].split()[0])
    top = float(curve.get("d", "").split()[-1])
    assert (float(ring.get("cx", "nan")), float(ring.get("cy", "nan"))) == (left, top)


def test_regions_of_a_card_are_scored_lesion_by_lesion(tmp_path: Path) -> None:
    for name, truth, answer in (
        ("hit", box(1, 20), box(1, 20)),
        ("none", box(1, 0), box(1, 0)),
        ("false", box(1, 0), box(2, 5)),
    ):
        write_study(tmp_path, name, answer=answer, probabilities=[0.9, 0.9], truth=truth)
    model = SmallModel(small_card().model_copy(update={"regions": {"marked": (1, 2), "blots": (1,)}}))
    found = evaluate(
        Request("small", tmp_path / "images", tmp_path / "truth", "regions"),
        on=date(2026, 1, 2),
        load=lambda *_: model,
    )
    regions = as_json(found)["regions"]
    assert regions["marked"] == {
        "studies": 3,
        "dice": pytest.approx(2 / 3),
        "hd95_mm": pytest.approx(374 / 3),
        "found": 1,
        "missed": 0,
        "false": 1,
    }
    assert (regions["blots"]["dice"], regions["blots"]["false"]) == (1, 0)
    rows = {row["study"]: row for row in csv.DictReader(StringIO(as_csv(found)))}
    assert (rows["false"]["marked, lesion-wise HD95 mm"], rows["false"]["marked, lesion-wise false"]) == ("374", "1")
    assert "<h3>Lesion by lesion</h3>" in render_report(found)
