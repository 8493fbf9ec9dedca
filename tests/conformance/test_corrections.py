"""Experts' labels as Segmentation and report, judged by dciodvfy, DCMTK's dsrdump and highdicom's reader."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom.dataset import Dataset
from support.answers import answer
from support.ct import blobs, multi_frame, tilted_ct

from models.dicom import read_series
from services.errors import Reject
from services.results import report, segmentation
from services.results.answer import BRAIN, Answer, Predecessor
from services.review.correction import Correction
from services.review.correction_report import encode_report
from services.review.correction_seg import encode_segmentation
from services.review.masks import Mask, grid_of

DCIODVFY, DSRDUMP = Path(sys.executable).with_name("dciodvfy"), "/usr/bin/dsrdump"
SHAPE = (10, 64, 64)


@pytest.fixture(scope="module")
def drawn() -> Answer:
    return answer(tilted_ct(), blobs(SHAPE, [1, 3]))


@pytest.fixture(scope="module")
def first(drawn: Answer) -> dict[str, Dataset]:
    """What the model's answer was written as."""
    seg = segmentation.encode_segmentation(drawn)
    assert seg is not None
    return {"seg": seg, "sr": report.encode_report(drawn, seg)}


@pytest.fixture(scope="module")
def corrected(drawn: Answer, first: dict[str, Dataset]) -> Correction:
    seg, sr = (
        Predecessor(each.StudyInstanceUID, each.SeriesInstanceUID, each.SOPClassUID, each.SOPInstanceUID)
        for each in (first["seg"], first["sr"])
    )
    images = tilted_ct()
    return Correction(
        task="ich",
        sources=drawn.sources,
        mask=Mask(drawn.segmentation, grid_of(read_series(images), images)),
        labels=drawn.labels,
        site=BRAIN,
        drew=(("A", "ana"), ("reviewer", "rex")),
        accepted_by="rex",
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        model=drawn.model,
        input_digest=drawn.input_digest,
        segmentation=seg,
        report=sr,
    )


def _errors(data: bytes, path: Path, kind: str) -> list[str]:
    path.write_bytes(data)
    done = subprocess.run([DCIODVFY, path], check=False, capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert kind in lines
    return [line for line in lines if line.startswith("Error")]


def test_a_correction_is_valid_and_names_what_it_replaces(
    tmp_path: Path, corrected: Correction, first: dict[str, Dataset]
) -> None:
    written, data = encode_segmentation(corrected)
    assert _errors(data, tmp_path / "seg.dcm", "Segmentation") == []
    assert written.SOPInstanceUID != first["seg"].SOPInstanceUID
    assert written.SourceInstanceSequence[0].ReferencedSOPInstanceUID == first["seg"].SOPInstanceUID
    assert [each.TrackingUID for each in written.SegmentSequence] == [
        each.TrackingUID for each in first["seg"].SegmentSequence
    ]
    assert written.DerivationDescription == "Corrected by ana (annotator), rex (reviewer); accepted by rex."
    _, again = encode_segmentation(corrected)
    assert again == data, "a retry writes the same bytes"


def test_a_correction_of_a_multi_frame_image_is_valid_too(tmp_path: Path, corrected: Correction) -> None:
    image = multi_frame(tilted_ct()[::-1])
    mask = Mask(corrected.mask.labels, grid_of(read_series([image]), [image]))
    of_frames = replace(corrected, sources=answer([image], mask.labels).sources, mask=mask)
    seg, data = encode_segmentation(of_frames)
    assert _errors(data, tmp_path / "seg.dcm", "Segmentation") == []
    _, data = encode_report(of_frames, seg)
    assert _errors(data, tmp_path / "sr.dcm", "ComprehensiveSR") == []


def test_its_report_measures_each_label_and_replaces_the_models(
    tmp_path: Path, corrected: Correction, first: dict[str, Dataset]
) -> None:
    seg, _ = encode_segmentation(corrected)
    written, data = encode_report(corrected, seg)
    path = tmp_path / "sr.dcm"
    assert _errors(data, path, "ComprehensiveSR") == []
    shown = subprocess.run([DSRDUMP, "+Pl", path], check=True, capture_output=True, text=True, timeout=60).stdout
    assert "Corrected by ana (annotator), rex (reviewer); accepted by rex." in shown
    assert written.PredecessorDocumentsSequence[0].StudyInstanceUID == seg.StudyInstanceUID
    content = highdicom.sr.srread(path).content
    assert isinstance(content, highdicom.sr.MeasurementReport)
    groups = content.get_volumetric_roi_measurement_groups()
    found = {group.tracking_uid: group.get_measurements()[0].value for group in groups}
    volumes = corrected.mask.volumes_ml()
    assert found == {
        corrected.tracking(label.name)[0]: pytest.approx(volumes[label.value], abs=1e-3)
        for label in corrected.segments.values()
    }
    names = [str(each.PersonName) for each in _people(written)]
    assert names == ["ana^", "rex^"]


def _people(written: Dataset) -> list[Dataset]:
    return [item for item in written.ContentSequence if item.ValueType == "PNAME"]


def test_nothing_marked_is_a_report_alone(tmp_path: Path, corrected: Correction, first: dict[str, Dataset]) -> None:
    empty = replace(corrected, mask=Mask(np.zeros(SHAPE, np.uint8), corrected.mask.grid))
    with pytest.raises(Reject, match="a DICOM Segmentation of nothing does not exist"):
        encode_segmentation(empty)
    written, data = encode_report(empty, None)
    path = tmp_path / "sr.dcm"
    assert _errors(data, path, "ComprehensiveSR") == []
    shown = subprocess.run([DSRDUMP, "+Pl", path], check=True, capture_output=True, text=True, timeout=60).stdout
    assert '"Expert label")=(NOTHING,99NIGHTJAR,"Nothing marked")' in shown
    assert "Nothing was marked. Looked for: IPH, IVH, SDH, EDH, SAH." in shown
    (replaced,) = written.PredecessorDocumentsSequence
    series = replaced.ReferencedSeriesSequence[0]
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first["sr"].SOPInstanceUID


def test_drawn_by_hand_it_names_no_algorithm(tmp_path: Path, corrected: Correction) -> None:
    by_hand = replace(corrected, model=None, input_digest="", segmentation=None, report=None)
    seg, data = encode_segmentation(by_hand)
    assert _errors(data, tmp_path / "seg.dcm", "Segmentation") == []
    assert {each.SegmentAlgorithmType for each in seg.SegmentSequence} == {"MANUAL"}
    assert seg.DerivationDescription == "Drawn by ana (annotator), rex (reviewer); accepted by rex."
    written, data = encode_report(by_hand, seg)
    assert _errors(data, tmp_path / "sr.dcm", "ComprehensiveSR") == []
    assert "PredecessorDocumentsSequence" not in written


def test_a_draft_says_that_it_is_one(tmp_path: Path, corrected: Correction) -> None:
    draft = replace(corrected, drew=(("A", "ana"),), accepted_by=None)
    seg, data = encode_segmentation(draft)
    assert _errors(data, tmp_path / "seg.dcm", "Segmentation") == []
    assert (seg.ContentLabel, seg.SeriesDescription) == ("DRAFT", "Nightjar ich draft SEG. Not for diagnosis.")
    assert seg.DerivationDescription == "Draft, taken along by ana (annotator); not accepted."
    assert seg.SOPInstanceUID != encode_segmentation(corrected)[0].SOPInstanceUID
