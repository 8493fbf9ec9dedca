"""What Nightjar writes, judged by tools that are not ours: dciodvfy, DCMTK's dsrdump, highdicom's reader."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from highdicom.seg import Segmentation
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from support.answers import LABELS, answer
from support.ct import blobs, multi_frame, tilted_ct

from services.results.answer import NOTICE, Answer, Predecessor
from services.results.encode import capture
from services.results.equipment import part10
from services.results.gate import check_results, place
from services.results.report import encode_report
from services.results.segmentation import encode_segmentation

DCIODVFY = Path(sys.executable).with_name("dciodvfy")
DSRDUMP, DCMJ2PNM = "/usr/bin/dsrdump", "/usr/bin/dcmj2pnm"
SHAPE = (10, 64, 64)


def _write(made: Answer) -> tuple[bytes | None, bytes]:
    segmentation = encode_segmentation(made)
    report = part10(encode_report(made, segmentation))
    return None if segmentation is None else part10(segmentation), report


def _errors(data: bytes, path: Path) -> list[str]:
    path.write_bytes(data)
    done = subprocess.run([DCIODVFY, path], check=False, capture_output=True, text=True, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line in ("Segmentation", "ComprehensiveSR", "SCImage") for line in lines), lines
    return [line for line in lines if line.startswith("Error")]


def _answers() -> dict[str, Answer]:
    several = answer(tilted_ct(), blobs(SHAPE, [1, 2, 3, 4, 5]))
    slices = tilted_ct()
    gapless = tilted_ct(gaps_mm=(5.0,) * 9, tilt_deg=0.0)
    sparse = tilted_ct(name="Müller^Jörg")
    for dataset in sparse:
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.TimezoneOffsetFromUTC = "+0100"
        dataset.SliceThickness = None
        del dataset.AccessionNumber, dataset.StudyID, dataset.PatientBirthDate
    removed = tilted_ct(name="REMOVED")
    with disable_value_validation():
        for dataset in removed:
            dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", ""
            del dataset.PatientBirthDate, dataset.StudyDate, dataset.PatientSex
            dataset.PatientBirthDate = dataset.StudyDate = dataset.PatientSex = "***"
            dataset.PatientWeight = None
    return {
        "several labels": several,
        "one label": answer(tilted_ct(), blobs(SHAPE, [4])),
        "even slices": answer(gapless, blobs(SHAPE, [1, 5])),
        "oblique": answer(tilted_ct(turn_deg=24.0), blobs(SHAPE, [2, 3])),
        "flipped": answer(tilted_ct(flipped=True), blobs(SHAPE, [2, 3])),
        "no flag": answer(tilted_ct(), blobs(SHAPE, [])),
        "finding without voxels": replace(
            several,
            segmentation=np.zeros(SHAPE, dtype=np.uint8),
            findings=(replace(several.findings[0], volume_ml=0.0),),
        ),
        "sparse headers": answer(sparse, blobs(SHAPE, [1, 2])),
        "overwritten headers": answer(removed, blobs(SHAPE, [1, 2])),
        "measured": answer(tilted_ct(), blobs(SHAPE, [1, 2, 3]), measured=True),
        "no flag, measured": answer(tilted_ct(), blobs(SHAPE, []), measured=True),
        "multi-frame": answer([multi_frame([*slices[5:], *slices[:5]])], blobs(SHAPE, [1, 3])),
        "two multi-frame images": answer([multi_frame(slices[1::2]), multi_frame(slices[::2])], blobs(SHAPE, [1, 3])),
        "multi-frame, no flag": answer([multi_frame(slices)], blobs(SHAPE, [])),
        "multi-frame, finding without voxels": replace(
            answer([multi_frame(slices)], blobs(SHAPE, [1])),
            segmentation=np.zeros(SHAPE, dtype=np.uint8),
            findings=(replace(several.findings[0], volume_ml=0.0),),
        ),
        "replaces another": replace(
            several, predecessors=(Predecessor("2.25.1", "2.25.2", "1.2.840.10008.5.1.4.1.1.88.33", "2.25.3"),)
        ),
    }


@pytest.mark.parametrize("case", _answers())
def test_dciodvfy_finds_no_error_and_dsrdump_reads_the_report(case: str, tmp_path: Path) -> None:
    made = _answers()[case]
    segmentation, report = _write(made)

    check_results(made, segmentation, report)
    assert (segmentation is None) == (not made.segments)
    if segmentation is not None:
        assert _errors(segmentation, tmp_path / "seg.dcm") == []
    assert _errors(report, tmp_path / "sr.dcm") == []
    dump = subprocess.run(
        [DSRDUMP, "--print-long-values", tmp_path / "sr.dcm"],
        check=False,
        capture_output=True,
        encoding="latin-1",
        timeout=60,
    )
    assert dump.returncode == 0, dump.stderr
    assert "E:" not in dump.stderr
    assert "W:" not in dump.stderr
    assert NOTICE in dump.stdout
    assert ("No flag raised" in dump.stdout) == (not made.findings)
    for finding in made.findings:
        assert made.label(finding.label).code.meaning in dump.stdout
    assert ("range of upper measurement uncertainty" in dump.stdout) == any(f.volume_range_ml for f in made.findings)
    assert ("ABC/2" in dump.stdout) == any(f.abc2_ml for f in made.findings)
    for taken in made.measurements:
        assert taken.code.meaning in dump.stdout


@pytest.mark.parametrize("case", ["several labels", "sparse headers", "overwritten headers", "flipped"])
def test_dciodvfy_finds_no_error_in_captures_and_dcmtk_draws_them(case: str, tmp_path: Path) -> None:
    made = _answers()[case]
    volume = replace(place(made.sources), voxels=np.zeros(SHAPE, np.float32))
    captures = capture(made, volume)
    assert captures
    for number, (dataset, data) in enumerate(captures):
        path = tmp_path / f"{number}.dcm"
        assert _errors(data, path) == []
        subprocess.run([DCMJ2PNM, "--write-png", path, path.with_suffix(".png")], check=True, timeout=60)
        with Image.open(path.with_suffix(".png")) as drawn:
            assert np.array_equal(np.array(drawn.convert("RGB")), dataset.pixel_array)


def _read_back(data: bytes, sources: Sequence[Dataset]) -> NDArray[np.uint8]:
    """Segment numbers per voxel, axes (slice, row, column), in the order of the sources."""
    pixels: NDArray[np.uint8] = Segmentation.from_dataset(dcmread(BytesIO(data))).get_pixels_by_source_instance(
        [source.SOPInstanceUID for source in sources],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
        dtype=np.uint8,
    )
    return pixels


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # an example takes a second: shrinking would take minutes
)
@given(data=st.data())
def test_every_voxel_comes_back_where_it_was(data: st.DataObject) -> None:
    """Any tilt, turn, direction and spacing of slices, any order of the instances, any voxels."""
    slices = data.draw(st.integers(1, 6), label="slices")
    shape = (slices, data.draw(st.integers(4, 12), label="rows"), data.draw(st.integers(4, 12), label="columns"))
    gap = st.floats(0.5, 9.0).map(lambda value: round(value, 2))
    datasets = tilted_ct(
        shape=shape,
        gaps_mm=data.draw(st.lists(gap, min_size=slices, max_size=slices), label="gaps"),
        tilt_deg=data.draw(st.floats(-30, 30), label="tilt"),
        turn_deg=data.draw(st.floats(-40, 40), label="turn"),
        flipped=data.draw(st.booleans(), label="flipped"),
        spacing_mm=(data.draw(gap, label="row spacing"), data.draw(gap, label="column spacing")),
    )
    random = np.random.default_rng(data.draw(st.integers(0, 2**32), label="voxels"))
    voxels = random.choice(np.array([0, 0, 0, 1, 3, 5], dtype=np.uint8), shape)
    voxels[0, 0, 0] = 3
    made = answer(datasets, voxels)

    segmentation, report = _write(made)

    assert segmentation is not None
    check_results(made, segmentation, report)
    names = {number: label.name for number, label in made.segments.items()}
    values = {label.name: label.value for label in LABELS}
    numbers = np.array([0, *(values[names[number]] for number in sorted(names))], dtype=np.uint8)
    shuffled = data.draw(st.permutations(range(slices)), label="order of reading")
    back = numbers[_read_back(segmentation, [datasets[index] for index in shuffled])]
    np.testing.assert_array_equal(back, voxels[shuffled])

    by_uid = {dataset.SOPInstanceUID: dataset for dataset in datasets}
    read = dcmread(BytesIO(segmentation))
    plane = read.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    assert list(plane.ImageOrientationPatient) == list(datasets[0].ImageOrientationPatient)
    for frame in read.PerFrameFunctionalGroupsSequence:
        source = by_uid[frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert list(frame.PlanePositionSequence[0].ImagePositionPatient) == list(source.ImagePositionPatient)


def test_uneven_slices_carry_no_spacing_between_them_and_even_ones_the_true_one() -> None:
    uneven = tilted_ct()
    even = tilted_ct(gaps_mm=(5.0,) * 9, tilt_deg=0.0)
    for dataset in (*uneven, *even):
        dataset.SpacingBetweenSlices = "9.9"

    measures = []
    for datasets in (uneven, even):
        segmentation = encode_segmentation(answer(datasets, blobs(SHAPE, [1])))
        assert segmentation is not None
        measures.append(segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0])

    assert "SpacingBetweenSlices" not in measures[0]
    assert float(measures[1].SpacingBetweenSlices) == 5.0


def test_volume_counts_uneven_gaps_fully() -> None:
    """2.5 mm and 7.5 mm to its neighbours, 18.5 degrees tilted: the slice stands for 5 mm across."""
    datasets = tilted_ct(shape=(3, 8, 8), gaps_mm=(2.5, 7.5), spacing_mm=(10.0, 10.0))
    mask = np.zeros((3, 8, 8), dtype=bool)
    mask[1, :4] = True

    volume_ml = place(answer(datasets, mask.astype(np.uint8)).sources).measure_ml(mask)

    assert volume_ml == pytest.approx(32 * 10 * 10 * 5.0 * np.cos(np.deg2rad(18.5)) / 1000, rel=1e-6)
