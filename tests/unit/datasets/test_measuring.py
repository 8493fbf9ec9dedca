"""One study measured: what the image makes the model say is what stands in the case."""

from pathlib import Path

import numpy as np
import pytest
from support.ct import as_bytes, tilted_ct
from support.labelled import VOXEL_ML, SmallModel, box, load_small, small_card, write_study

from services.datasets.evaluation.calibrating import without_operating_points
from services.datasets.evaluation.cases import ANY, Study, find_studies
from services.datasets.evaluation.measuring import Candidate, Case, Outcome, measure_study


def study(base: Path, name: str = "a") -> Study:
    return next(s for s in find_studies(base / "images", base / "truth", small_card()) if s.name == name)


def measured(base: Path) -> Case:
    return measure_study(study(base), SmallModel())


def test_labels_volumes_overlap_and_slices(tmp_path: Path) -> None:
    truth = np.maximum(box(1, 40), box(2, 10, start=100))
    write_study(tmp_path, "a", answer=box(1, 30), probabilities=[0.9, 0.3], truth=truth)
    case = measured(tmp_path)
    assert (case.outcome, case.reason, case.slice_count, case.step_mm) == (Outcome.ANALYSED, "", 6, 5.0)
    blot, stain, both = case.labels["blot"], case.labels["stain"], case.labels[ANY]
    assert (blot.truth, blot.found, blot.probability) == (True, True, pytest.approx(0.9))
    assert (blot.truth_ml, blot.answer_ml) == pytest.approx((40 * VOXEL_ML, 30 * VOXEL_ML))
    assert blot.abc2_ml == pytest.approx(45 * VOXEL_ML)
    assert blot.overlap is not None
    assert blot.overlap.dice == pytest.approx(60 / 70)
    assert (stain.truth, stain.found, stain.answer_ml, stain.abc2_ml) == (True, False, 0.0, None)
    assert stain.overlap is not None
    assert (stain.overlap.dice, stain.overlap.hd95_mm) == (0.0, None)
    assert (both.truth, both.found, both.probability) == (True, True, pytest.approx(0.9))
    assert (both.truth_ml, both.answer_ml) == pytest.approx((50 * VOXEL_ML, 30 * VOXEL_ML))
    assert both.overlap is not None
    assert both.overlap.dice == pytest.approx(60 / 80)
    for name in ("blot", ANY):
        assert case.slices[name].truth.tolist() == [k == 2 for k in range(6)]
        assert case.slices[name].scores.tolist() == pytest.approx([0.9 * (k == 2) for k in range(6)])


def test_an_alarm_without_truth_has_no_overlap(tmp_path: Path) -> None:
    write_study(tmp_path, "a", answer=box(1, 30), probabilities=[0.9, 0.0], truth=box(1, 0))
    blot = measured(tmp_path).labels["blot"]
    assert (blot.truth, blot.found, blot.truth_ml, blot.overlap) == (False, True, 0.0, None)


@pytest.mark.parametrize(
    ("row", "expected"),
    [("1,0,", True), ("0,0,", False), ("0,,", None), (",1,", True), (",,1", True), ("0,,1", True)],
)
def test_reads_of_the_study_alone_give_detection_alone(tmp_path: Path, row: str, expected: bool | None) -> None:
    write_study(tmp_path, "a", answer=box(1, 30), probabilities=[0.9, 0.3])
    (tmp_path / "truth/studies.csv").write_text(f"study,blot,stain,any\na,{row}\n")
    case = measured(tmp_path)
    assert case.labels[ANY].truth is expected
    assert case.labels["blot"].truth is {"1": True, "0": False, "": None}[row.split(",")[0]]
    assert case.labels["blot"].found
    assert (case.labels["blot"].truth_ml, case.labels["blot"].overlap, case.slices) == (None, None, {})


def test_a_table_against_its_label_map_is_refused(tmp_path: Path) -> None:
    write_study(tmp_path, "a", answer=box(1, 30), probabilities=[0.9, 0.3], truth=box(1, 30))
    (tmp_path / "truth/studies.csv").write_text("study,blot,stain\na,1,1\n")
    case = measured(tmp_path)
    assert case.outcome is Outcome.TRUTH_REFUSED
    assert "studies.csv disagree on stain of a. Correct one of them." in case.reason
    assert not case.labels


def test_what_fails_is_kept_with_its_reason(tmp_path: Path) -> None:
    write_study(tmp_path, "a", answer=box(1, 1), probabilities=[0.1, 0.1], truth=box(1, 0), broken=True)
    case = measured(tmp_path)
    assert (case.outcome, case.reason) == (Outcome.FAILED, "The image is broken on purpose.")
    (tmp_path / "images/a.nii.gz").write_bytes(b"no image")
    case = measured(tmp_path)
    assert case.outcome is Outcome.FAILED
    assert "a.nii.gz cannot be read as NIfTI" in case.reason
    assert case.step_mm is None


def test_candidates_are_known_below_the_operating_point(tmp_path: Path) -> None:
    write_study(tmp_path, "a", answer=box(1, 30), probabilities=[0.2, 0.3], truth=box(1, 30))
    everything = load_small("small", 1, without_operating_points(small_card()))
    case = measure_study(study(tmp_path), SmallModel(), unrestricted=everything)
    assert not case.labels["blot"].found
    assert case.candidates["blot"] == Candidate(pytest.approx(0.2), pytest.approx(30 * VOXEL_ML))
    assert case.candidates["stain"] == Candidate(pytest.approx(0.3), 0.0)


@pytest.mark.parametrize(("row", "scanner"), [("a,0,", "Nightjar tests"), ("a,0,Alpha", "Alpha")])
def test_the_scanner_comes_from_the_table_or_else_from_dicom(tmp_path: Path, row: str, scanner: str) -> None:
    (tmp_path / "images/a").mkdir(parents=True)
    (tmp_path / "images/a/notes").write_text("no DICOM")
    for k, dataset in enumerate(tilted_ct()):
        (tmp_path / f"images/a/{k}.dcm").write_bytes(as_bytes(dataset))
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth/studies.csv").write_text(f"study,any,scanner\n{row}\n")
    case = measured(tmp_path)
    assert case.outcome is Outcome.ANALYSED
    assert case.attributes == {"scanner": scanner}
