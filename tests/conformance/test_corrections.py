"""A corrected Segmentation, judged by dciodvfy."""

import subprocess
import sys
from pathlib import Path

from pydicom import dcmread
from support.answers import answer
from support.ct import blobs, tilted_ct

from models.dicom import read_series
from services.results.answer import Predecessor
from services.results.segmentation import encode_segmentation
from services.review.correction_seg import Correction, encode_correction
from services.review.masks import grid_of

DCIODVFY = Path(sys.executable).with_name("dciodvfy")


def test_a_correction_is_valid_and_names_what_it_replaces(tmp_path: Path) -> None:
    images = tilted_ct()
    drawn = answer(images, blobs((10, 64, 64), [1, 3]))
    first = encode_segmentation(drawn)
    assert first is not None
    predecessor = Predecessor(first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPClassUID, first.SOPInstanceUID)
    people = (("A", "ana"), ("reviewer", "rex"), ("accepted", "rex"))
    grid = grid_of(read_series(images), images)
    _, data = encode_correction(Correction(drawn, grid, "0" * 64, people, predecessor, unchanged=False))
    path = tmp_path / "correction.dcm"
    path.write_bytes(data)
    done = subprocess.run([DCIODVFY, path], check=False, capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert "Segmentation" in lines
    assert [line for line in lines if line.startswith("Error")] == []
    written = dcmread(path)
    assert written.SOPInstanceUID != first.SOPInstanceUID
    assert written.SourceInstanceSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert [each.TrackingUID for each in written.SegmentSequence] == [
        each.TrackingUID for each in first.SegmentSequence
    ]
    assert written.DerivationDescription == "Corrected by ana (annotator), rex (reviewer); accepted by rex."
