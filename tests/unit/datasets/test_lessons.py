"""A release read back: whole or not at all, by split, with the model's values."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.labelled import small_card, write_nifti

from services.datasets.release.lessons import open_release, read_lessons
from services.errors import Reject, SettingsError

SHAPE = (3, 8, 8)


def write_release(folder: Path, *, splits: tuple[str, ...] = ("train", "validation", "test"), **changes: Any) -> Path:
    """Studies whose masks hold the value 7, which the release calls blot."""
    index = []
    for number, split in enumerate(splits):
        image, mask = f"sub-{number}/ct/sub-{number}_ct.nii.gz", f"masks/sub-{number}_space-orig_dseg.nii.gz"
        voxels = np.full(SHAPE, number, np.int16)
        write_nifti(folder / image, voxels)
        write_nifti(folder / mask, np.where(np.arange(8) < 2, 7, 0).astype(np.uint8) * np.ones(SHAPE, np.uint8))
        index.append({"split": split, "images": {"NCCT": image}, "mask": mask})
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.gz")
    }
    content = {"name": "Spring", "layout": "bids", "labels": {"blot": 7}, "index": index, "files": files, **changes}
    (folder / "release.json").write_text(json.dumps(content))
    return folder


def test_splits_are_kept_apart_and_labels_become_the_models(tmp_path: Path) -> None:
    release = open_release(write_release(tmp_path, splits=("train", "train", "validation", "test")))
    lessons = read_lessons(release, small_card())
    assert (len(lessons.train), len(lessons.validation)) == (2, 1)
    assert lessons.name == "Spring"
    assert lessons.digest == hashlib.sha256((tmp_path / "release.json").read_bytes()).hexdigest()
    first, second = (read() for read in lessons.train)
    assert [float(study.inputs["NCCT"].voxels.max()) for study in (first, second)] == [0, 1]
    assert set(np.unique(first.labels)) == {0, 1}
    assert first.labels[:, :, :2].all()


def test_what_is_no_release_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no release\.json that can be read"):
        open_release(tmp_path)
    (tmp_path / "release.json").write_text('{"files": {}}')
    with pytest.raises(SettingsError, match=r"no release\.json that can be read"):
        open_release(tmp_path)
    with pytest.raises(SettingsError, match="Export the release with --layout bids"):
        open_release(write_release(tmp_path, layout="nnunet"))


def test_a_file_that_changed_stops_it(tmp_path: Path) -> None:
    write_release(tmp_path)
    (tmp_path / "sub-0/ct/sub-0_ct.nii.gz").write_bytes(b"other")
    with pytest.raises(Reject, match=r"1 files are missing or were changed since the release, such as sub-0/ct"):
        open_release(tmp_path)


def test_a_release_for_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="voxels of stroke, which is no label of small"):
        read_lessons(open_release(write_release(tmp_path, labels={"stroke": 7})), small_card()).train[0]()
    (tmp_path / "other").mkdir()
    release = open_release(write_release(tmp_path / "other"))
    other = small_card().model_copy(update={"inputs": (small_card().inputs[0].model_copy(update={"role": "DWI"}),)})
    with pytest.raises(Reject, match="has no DWI, which small reads"):
        read_lessons(release, other).validation[0]()
