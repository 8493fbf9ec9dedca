"""Synthetic diffusion studies, written, analysed and measured: what is put in is what the truth says, twice alike."""

from datetime import date
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from models.ais.train.heldout import write
from models.ais.train.lesions import Infarct, add_mimic, infarct
from models.ais.train.scanner import DiffusionSequence, Grid
from models.ais.train.studies import labelmap_files, make_study
from models.ais.train.table import table
from models.ais.train.tissue import draw_maps
from models.synthesis.anatomy import draw_head
from models.synthesis.space import Space
from models.synthesis.tissue import Tissue
from services.datasets.evaluation.files import write_files
from services.datasets.evaluation.run import Request, evaluate

GRID = Grid(rows=64, columns=64, spacing_mm=3.5, slices=14, step_mm=10.0, thickness_mm=5.0)
DEEP = Infarct("deep", 5.0, adc_ratio=0.55, age=0.1, left=True)


@pytest.fixture(scope="module")
def space() -> Space:
    return Space.of(draw_head(np.random.default_rng(1)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of a drawn head, the first with a stroke: a folder without label maps draws heads from formulas."""
    out = tmp_path_factory.mktemp("studies")
    write(out / "no-labelmaps", out, 2, seed=5)
    return out


def test_an_infarct_is_where_the_truth_says_and_as_large_as_asked(space: Space) -> None:
    rng = np.random.default_rng(2)
    maps = draw_maps(space, rng)
    changed, core = infarct(maps, space, [DEEP], rng)
    assert core.sum() * 1.2**3 / 1000 == pytest.approx(5.0, rel=0.01)
    assert (space.anatomy.left[core]).all()
    assert np.median(changed.adc[core] / maps.adc[core]) == pytest.approx(0.55, abs=0.08)
    far = ~core & space.brain & (np.abs(changed.adc - maps.adc) > 1)
    assert far.sum() < 1.5 * core.sum()
    for mimic in ("shine-through", "old"):
        other = add_mimic(changed, space, mimic, rng, core)
        different = np.abs(other.adc - changed.adc) > 20
        assert different.any()
        assert not (different & core).any()
        assert (other.adc[different] > changed.adc[different]).all()


def test_what_is_bright_in_the_healthy_lies_on_both_sides_or_in_the_ventricles(space: Space) -> None:
    maps = draw_maps(space, np.random.default_rng(2))
    nowhere = np.zeros(space.brain.shape, bool)
    both = add_mimic(maps, space, "both sides", np.random.default_rng(4), nowhere)
    changed = np.abs(both.t2_ms - maps.t2_ms) > 0.01 * maps.t2_ms
    on_left, on_right = ((changed & side).sum() for side in (space.anatomy.left, ~space.anatomy.left))
    assert 0.7 < on_left / on_right < 1.4
    assert (changed & space.brain).sum() == changed.sum()
    assert both.adc[changed].mean() > 0.8 * maps.adc[changed].mean()
    plexus = add_mimic(maps, space, "plexus", np.random.default_rng(4), nowhere)
    changed = plexus.adc != maps.adc
    assert changed.any()
    assert not (changed & ~space.anatomy.mask(Tissue.LATERAL)).any()


def test_the_scanner_shows_it_dark_on_adc_and_bright_on_dwi_and_repeats_itself(space: Space) -> None:
    first, second = (
        make_study(space, [DEEP], [], GRID, DiffusionSequence(snr=40), np.random.default_rng(3), flair=False)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.scan.dwi.voxels, second.scan.dwi.voxels)
    np.testing.assert_array_equal(first.scan.adc.voxels, second.scan.adc.voxels)
    core = first.scan.core > 0
    assert first.scan.dwi.measure_ml(core) == pytest.approx(5.0, rel=0.4)
    tissue = ~core & (first.scan.adc.voxels > 500) & (first.scan.adc.voxels < 1200) & (first.scan.dwi.voxels > 100)
    assert np.median(first.scan.adc.voxels[core]) < 0.75 * np.median(first.scan.adc.voxels[tissue])
    assert np.median(first.scan.dwi.voxels[core]) > 1.2 * np.median(first.scan.dwi.voxels[tissue])


def test_written_studies_are_evaluated_with_all_their_inputs(written: Path) -> None:
    units = [float(nib.load(written / f"images/study-00{n}/ADC.nii.gz").get_fdata().max()) for n in (1, 2)]
    assert units[0] < 10 < units[1]  # 1e-3 and 1e-6 mm2/s
    found = evaluate(
        Request("ais", written / "images", written / "truth", dataset="two", synthetic=True, method="adc620"),
        on=date(2026, 1, 1),
    )
    assert found.summary.outcomes["analysed"] == 2
    core = found.summary.labels["ischaemic core"]
    assert (core.detection.positives, core.detection.negatives) == (1, 1)
    assert core.overlap is not None
    assert core.overlap.lesion_f1.of == 1
    assert core.largest_false_ml is not None
    assert core.largest_false_ml < 1


def test_both_methods_are_put_side_by_side(written: Path, tmp_path: Path) -> None:
    for method in ("network", "adc620"):
        found = evaluate(
            Request("ais", written / "images", written / "truth", dataset="two", synthetic=True, method=method),
            on=date(2026, 1, 1),
        )
        assert found.card.version.endswith("+adc620") == (method == "adc620")
        (tmp_path / method).mkdir()
        write_files(found, tmp_path / method)
    lines = list(table({"network": tmp_path / "network", "adc620": tmp_path / "adc620"}))
    assert lines[0] == "| | Studies | network | adc620 |"
    assert any(line.startswith("| Dice, a missed core as 0 | 1 | median") for line in lines)
    assert sum(line.startswith("| slices") for line in lines) == 1


def test_the_last_label_maps_are_kept_from_training(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"map_{number}.nii.gz").touch()
    names = [[path.name[:5] for path in labelmap_files(tmp_path, held_out=held)] for held in (False, True)]
    assert names == [["map_0", "map_1"], ["map_2", "map_3", "map_4"]]
