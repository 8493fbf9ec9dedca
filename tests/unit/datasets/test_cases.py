"""Images and truths are paired by name, and everything that does not fit is named at once."""

from pathlib import Path

import numpy as np
import pytest
from support.labelled import SHAPE, box, small_card, write_nifti, write_study

from models.card import Input
from services.datasets.evaluation.cases import ANY, find_studies
from services.errors import SettingsError


def folder(tmp_path: Path, *names: str) -> Path:
    for name in names:
        write_study(tmp_path, name, answer=box(1, 5), probabilities=[0.9, 0.1], truth=box(1, 5))
    return tmp_path


def find(base: Path) -> list[str]:
    return [study.name for study in find_studies(base / "images", base / "truth", small_card())]


def refused(base: Path) -> list[str]:
    with pytest.raises(SettingsError) as error:
        find(base)
    return str(error.value).splitlines()


def test_images_meet_their_truths_and_rows(tmp_path: Path) -> None:
    base = folder(tmp_path, "b", "a")
    (base / "images" / "c").mkdir()
    (base / "truth" / "notes.txt").write_text("no truth")
    (base / "truth" / "studies.csv").write_text(
        "study,blot,stain,any,scanner\na,,,,Alpha\nc,1,,1,Beta\nb,1,0,1,\n", encoding="utf-8-sig"
    )
    a, b, c = find_studies(base / "images", base / "truth", small_card())
    assert (a.name, a.truth, a.reads, a.attributes) == ("a", base / "truth/a.nii.gz", {}, {"scanner": "Alpha"})
    assert (b.reads, b.attributes) == ({"blot": True, "stain": False, ANY: True}, {})
    assert (c.truth, c.reads) == (None, {"blot": True, ANY: True})
    assert c.images == {"NCCT": base / "images/c"}


def test_all_studies_that_do_not_fit_are_named_at_once(tmp_path: Path) -> None:
    base = folder(tmp_path, "a", "b", "c")
    (base / "truth/a.nii.gz").rename(base / "truth/z.nii.gz")
    (base / "truth/studies.csv").write_text("study,scanner\nb,Alpha\ny,Beta\n")
    lines = refused(base)
    assert len(lines) == 3
    assert "1 image has no truth" in lines[0]
    assert ": a. " in lines[0]
    assert lines[1].endswith(": z. Names must be the same, without ending.")
    assert "studies.csv" in lines[2]
    assert ": y. " in lines[2]


def test_long_lists_are_cut_and_counted(tmp_path: Path) -> None:
    base = folder(tmp_path, "a")
    for k in range(14):
        (base / "images" / f"s{k:02d}").mkdir()
    (line,) = refused(base)
    assert line.startswith("14 images have no truth")
    assert "s09 and 4 more" in line
    assert "s10" not in line


def test_a_truth_on_another_grid_is_refused_before_anything_is_analysed(tmp_path: Path) -> None:
    base = folder(tmp_path, "a", "b", "c")
    write_nifti(base / "truth/a.nii.gz", np.zeros((5, *SHAPE[1:]), np.uint8))
    write_nifti(base / "truth/b.nii.gz", box(1, 5), affine=np.array(np.diag([-2.0, -2, 5, 1]) + np.eye(4, k=3) * 7))
    first, second = refused(base)
    for line, name in ((first, "a"), (second, "b")):
        assert f"truth/{name}.nii.gz lies on another grid than {base}/images/{name}.nii.gz" in line
        assert line.endswith("Bring it onto the image's grid with nearest neighbour.")
    assert "it has 24 x 24 x 5 voxels" in first
    assert "the image 24 x 24 x 6" in first
    assert "from (7.0, 0.0, 0.0)" in second


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("name,blot\na,1\n", "needs one column study"),
        ("study,blot,blot\na,1,1\n", "no column twice"),
        ("study,blot\na,yes\n", "line 2: blot = yes; a read is 0, 1 or empty"),
        ("study,blot\na,1\na,1\n", "line 3: a stands there twice"),
        ("study,blot\n,1\n", "line 2: it names no study"),
        ("study,blot\na\n", "line 2: it has another number of cells"),
        ("study,blot,any\na,1,0\n", "any is 0 and blot 1"),
        ("study,blot,thickness_mm\na,1,thin\n", "thickness_mm = thin is no number of millimetres"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_with_its_line(tmp_path: Path, table: str, sentence: str) -> None:
    base = folder(tmp_path, "a")
    (base / "truth/studies.csv").write_text(table)
    assert any(sentence in line for line in refused(base))


def test_a_column_that_tells_studies_apart_makes_no_groups(tmp_path: Path) -> None:
    base = folder(tmp_path, *(f"s{k:02d}" for k in range(13)))
    (base / "truth/studies.csv").write_text("study,number\n" + "".join(f"s{k:02d},{k}\n" for k in range(13)))
    (line,) = refused(base)
    assert "column number has 13 different values" in line


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    (line,) = refused(tmp_path)
    assert line == f"--images {tmp_path}/images is no folder."
    (tmp_path / "images").mkdir()
    assert "holds no NIfTI and no folder of DICOM" in refused(tmp_path)[0]
    (tmp_path / "images/a").mkdir()
    assert "holds no label map, and no studies.csv with reads" in refused(tmp_path)[0]
    write_nifti(tmp_path / "images/a.nii", box(1, 1))
    assert "a and a.nii are both a" in refused(tmp_path)[0]


def test_a_model_of_several_inputs_reads_a_folder_with_an_image_a_role(tmp_path: Path) -> None:
    roles = (
        Input(role="T1", modality="MR"),
        Input(role="DWI", modality="MR"),
        Input(role="ADC", modality="MR", optional=True),
    )
    card = small_card().model_copy(update={"inputs": roles})
    for name in ("T1", "DWI"):
        write_nifti(tmp_path / f"images/a/{name}.nii.gz", box(1, 5))
    write_nifti(tmp_path / "images/b/T1.nii.gz", box(1, 5))
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth/studies.csv").write_text("study,any\na,1\nb,0\n")
    with pytest.raises(SettingsError, match=r"images/b lacks DWI: name an image DWI\.nii\.gz in it"):
        find_studies(tmp_path / "images", tmp_path / "truth", card)
    write_nifti(tmp_path / "images/b/DWI.nii.gz", box(1, 5))
    a, _ = find_studies(tmp_path / "images", tmp_path / "truth", card)
    assert set(a.images) == {"T1", "DWI"}
