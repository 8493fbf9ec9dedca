"""A whole demonstration study, small: valid for a validator that is not ours, and described by its manifest."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from models.dicom import read_folder
from models.registry import load_model
from services.demonstration.phantom import MANIFEST, PhantomStudy, write_phantoms
from services.errors import SettingsError

DCIODVFY = Path(sys.executable).with_name("dciodvfy")


@pytest.fixture(scope="module")
def tilted(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    [study] = write_phantoms(tmp_path_factory.mktemp("phantoms"), only=["iph-ivh"], matrix=64)
    return study


@pytest.fixture(scope="module")
def abdomen(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    [study] = write_phantoms(tmp_path_factory.mktemp("phantoms"), only=["abdomen"], matrix=64)
    return study


def test_no_object_has_an_error(tilted: PhantomStudy, abdomen: PhantomStudy):
    for path in [*tilted.directory.rglob("*.dcm"), *abdomen.directory.rglob("*.dcm")]:
        done = subprocess.run([DCIODVFY, path], check=False, capture_output=True, timeout=60)
        lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
        assert {"CTImage", "XRayRadiationDoseSR"} & set(lines)
        assert [line for line in lines if line.startswith("Error")] == []


def test_a_study_has_a_localiser_two_reconstructions_and_a_dose_report(tilted: PhantomStudy):
    headers = [dcmread(path, stop_before_pixels=True) for path in sorted(tilted.directory.rglob("*.dcm"))]
    by_series: dict[int, list] = {}
    for ds in headers:
        by_series.setdefault(int(ds.SeriesNumber), []).append(ds)
    assert {number: len(group) for number, group in by_series.items()} == {1: 1, 2: 32, 3: 32, 99: 1}
    assert by_series[1][0].ImageType[2] == "LOCALIZER"
    assert {ds.StudyInstanceUID for ds in headers} == {tilted.study_uid}
    assert len({ds.FrameOfReferenceUID for ds in headers if ds.Modality == "CT"}) == 1
    known = {ds.SOPInstanceUID for ds in headers}
    for series in by_series[99][0].CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence:
        assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in known


def test_the_slices_are_sheared_by_the_gantry_tilt(tilted: PhantomStudy):
    headers = [dcmread(path, stop_before_pixels=True) for path in sorted((tilted.directory / "series2").iterdir())]
    orientation = np.array(headers[0].ImageOrientationPatient, dtype=float)
    positions = np.array([ds.ImagePositionPatient for ds in headers], dtype=float)
    steps = np.diff(positions, axis=0)
    np.testing.assert_allclose(steps, np.tile([0.0, 0.0, 5.0], (31, 1)), atol=1e-6)
    assert np.rad2deg(np.arcsin(-orientation[5])) == pytest.approx(float(headers[0].GantryDetectorTilt), abs=1e-4)
    assert abs(float(headers[0].GantryDetectorTilt)) > 10


def test_the_manifest_says_what_was_put_in(tilted: PhantomStudy):
    [entry] = json.loads((tilted.directory.parent / MANIFEST).read_text())["studies"]
    assert entry["study_uid"] == tilted.study_uid
    assert entry["expected"] == "analysed"
    assert [bleed["label"] for bleed in entry["bleeds"]] == ["IPH", "IVH"]
    assert all(bleed["volume_ml"] > 1.0 for bleed in entry["bleeds"])


def test_the_same_seed_writes_the_same_bytes(abdomen: PhantomStudy, tmp_path: Path):
    [again] = write_phantoms(tmp_path / "again", only=["abdomen"], matrix=64)
    [other] = write_phantoms(tmp_path / "other", only=["abdomen"], matrix=64, seed=1)
    for path in abdomen.directory.rglob("*.dcm"):
        assert (again.directory / path.relative_to(abdomen.directory)).read_bytes() == path.read_bytes()
    assert other.study_uid != abdomen.study_uid


def test_an_unknown_name_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="no phantom called knee"):
        write_phantoms(tmp_path, only=["knee"])


def test_an_mr_study_has_b0_and_trace_in_one_series_an_adc_map_and_a_flair(tmp_path: Path):
    [study] = write_phantoms(tmp_path, only=["no-stroke"])
    headers = [dcmread(path, stop_before_pixels=True) for path in sorted(study.directory.rglob("*.dcm"))]
    series = {number: [ds for ds in headers if ds.SeriesNumber == number] for number in (2, 3, 4)}
    assert {number: len(group) for number, group in series.items()} == {2: 56, 3: 28, 4: 28}
    assert sorted({ds.DiffusionBValue for ds in series[2]}) == [0, 1000]
    assert {ds.RescaleSlope for ds in series[3]} == {0.001}
    for group in series.values():
        done = subprocess.run([DCIODVFY, group[0].filename], check=False, capture_output=True, timeout=60)
        lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
        assert "MRImage" in lines
        assert [line for line in lines if line.startswith("Error")] == []
    dwi, adc, flair = (read_folder(study.directory / f"series{number}", "MR") for number in (2, 3, 4))
    prediction = load_model("ais").predict({"DWI": dwi, "ADC": adc, "FLAIR": flair})
    assert prediction.findings == ()
    assert prediction.parameters["ADC unit"] == "1e-3 mm2/s"
