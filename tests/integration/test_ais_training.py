"""From synthetic studies to weights that the engine reads, and to numbers in the card: as small as it can be."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from support.tiny_network import write_core_network

from models.ais.adc620 import read_numbers
from models.ais.network import cut, level_of
from models.ais.preprocess import prepare
from models.ais.train.export import export
from models.ais.train.fit import Fitted, Looked, enter, fit, look
from models.ais.train.lesions import Infarct, infarct
from models.ais.train.pool import CORE, INSIDE, SMALL, TINY, VIEW, Case, make_case
from models.ais.train.scanner import DiffusionScan, DiffusionSequence, Grid, drawn, strip
from models.ais.train.studies import make_study
from models.ais.train.tissue import draw_maps
from models.ais.train.training import CHANNELS, COLUMNS, Cases, augment, new_network, new_pair, train
from models.engines import open_engine
from models.registry import FOLDER, load_card
from models.synthesis.anatomy import draw_head
from models.synthesis.space import Space
from models.training import Plan
from models.unet.committee import ANOTHER, PLAIN
from models.unet.grow import read_any
from models.unet.weights import read_network
from models.view import View

GRID = Grid(rows=64, columns=64, spacing_mm=3.5, slices=14, step_mm=10.0, thickness_mm=5.0)
STROKE = [Infarct("deep", 12.0, adc_ratio=0.5, age=0.3, left=True), Infarct("embolic", 0.8, adc_ratio=0.5, left=False)]
MOMENT_MINUTES = 1e-9


@pytest.fixture(scope="module")
def scan() -> DiffusionScan:
    space = Space.of(draw_head(np.random.default_rng(1)))
    sequence = DiffusionSequence(snr=30, movement_mm=0.5, ghost=0.02, stripes=0.02, directions=3, fat=3, fat_shift_mm=4)
    return make_study(space, STROKE, ["both sides"], GRID, sequence, np.random.default_rng(3), flair=False).scan


@pytest.fixture(scope="module")
def pool(scan: DiffusionScan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    make_case(scan).save(folder / "train-00000.npz")
    make_case(scan).save(folder / "fit-00008.npz")
    return folder


def test_a_case_is_what_the_model_would_see(scan: DiffusionScan) -> None:
    case = make_case(scan)
    images = prepare(scan.dwi, scan.adc)
    view = View.of(scan.dwi, images.brain.any(axis=0), size=VIEW.size, spacing_mm=VIEW.spacing_mm)
    bright, water = cut(scan.dwi.voxels, images.adc, level_of(scan.dwi.voxels, images.adc, images.brain), view, VIEW)
    shown = np.flatnonzero(scan.inside.any(axis=(1, 2)))
    inside = (case.marks & INSIDE) > 0
    # The brain that is found and the one that was drawn differ by a voxel or two.
    assert np.median(case.dwi[inside]) == pytest.approx(np.median(bright[shown][inside]), rel=0.05)
    assert np.median(case.adc[inside]) == pytest.approx(np.median(water[shown][inside]), rel=0.05)
    core = (case.marks & CORE) > 0
    assert core.sum() * case.voxel_ml == pytest.approx(case.core_ml, rel=0.25)
    assert np.median(case.adc[core]) < 600 < np.median(case.adc[inside])
    assert not ((case.marks & TINY) > 0)[~core].any()
    assert 0 < ((case.marks & SMALL) > 0).sum() < 0.3 * core.sum()
    dwi, adc = case.volumes()
    assert dwi.measure_ml(core) == pytest.approx(core.sum() * case.voxel_ml)
    assert dwi.voxels.shape == adc.voxels.shape == case.marks.shape


def test_an_infarct_fades_at_its_border_as_far_as_asked() -> None:
    space = Space.of(draw_head(np.random.default_rng(1)))
    whole = draw_maps(space, np.random.default_rng(2))
    kept = []
    for edge_mm in (0.6, 2.2):
        one = Infarct("deep", 12.0, adc_ratio=0.5, left=True, edge_mm=edge_mm, uneven=0)
        hurt, core = infarct(whole, space, [one], np.random.default_rng(3))
        share = hurt.adc / np.maximum(whole.adc, 1)
        inner = ndimage.binary_erosion(core, iterations=4)
        assert share[inner].mean() == pytest.approx(0.5, abs=0.01)
        border = core & ~ndimage.binary_erosion(core)
        outside = ndimage.binary_dilation(core, iterations=2) & ~core & space.brain
        kept.append((share[border].mean(), share[outside].mean()))
    (sharp, spared), (faded, touched) = kept
    assert sharp < faded - 0.02
    assert touched < spared - 0.02


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0])
def test_an_outline_runs_across_sulci_and_takes_in_what_is_filled_in_part(spacing_mm: float) -> None:
    across = (np.arange(40) + 0.5) * spacing_mm
    share = np.zeros((2, 40, 40), np.float32)
    share[0, 10:30] = ((across > 4) & (across < 12)) | ((across > 14) & (across < 20)) | (across > 30) & (across < 36)
    share[0, 9] = 0.3 * share[0, 10]
    share[0, 30] = 0.2 * share[0, 10]
    outline = drawn(share, spacing_mm)
    for row in outline[0, 11:29]:  # a sulcus of 2 mm is drawn over, a gap of 10 mm is not
        assert np.array_equal(row, (across > 4) & (across < 20) | (across > 30) & (across < 36))
    assert np.array_equal(outline[0, 9], share[0, 10] > 0)
    assert not outline[0, 30:].any()
    assert not outline[1].any()


def test_stripped_studies_show_nothing_outside_the_skull(scan: DiffusionScan) -> None:
    bare, map_alone = strip(scan), strip(scan, map_alone=True)
    assert not bare.dwi.voxels[~scan.inside].any()
    assert not map_alone.adc.voxels[~scan.inside].any()
    assert np.array_equal(map_alone.dwi.voxels, scan.dwi.voxels)
    assert np.array_equal(bare.dwi.voxels[scan.inside], scan.dwi.voxels[scan.inside])


def test_augmentation_keeps_truth_on_what_it_marks(pool: Path) -> None:
    rng = np.random.default_rng(0)
    cases = Cases(pool)
    images, core, inside, weight = augment(*cases.batch(24, rng), rng)
    assert images.shape == (24, CHANNELS, VIEW.size, COLUMNS)
    assert core.shape == inside.shape == weight.shape == (24, VIEW.size, COLUMNS)
    assert 6 < (core.sum(dim=(1, 2)) > 0).sum() < 24
    marked, tissue = core > 0, (inside > 0) & (core == 0)
    assert images[:, 1][marked].mean() > images[:, 1][tissue].mean() + 0.3
    assert images[:, 4][marked].mean() < images[:, 4][tissue].mean()
    assert (inside[marked] > 0).float().mean() > 0.98
    assert set(weight.unique().tolist()) <= {1.0, 2.0, 4.0}
    assert (weight[~marked] == 1).all()
    outside = images[:, 1][inside == 0]
    assert (outside == -1).float().mean() > 0.15  # some heads are stripped


def test_training_goes_on_from_its_checkpoint_and_asks_for_more_cases(
    pool: Path, scan: DiffusionScan, tmp_path: Path
) -> None:
    plan = Plan(minutes=MOMENT_MINUTES, batch=2)
    first = torch.load(train(pool, tmp_path, plan, resume=False), weights_only=True)
    assert first["step"] == 1
    longer = Plan(minutes=(first["spent_s"] + 1e-6) / 60, batch=2)
    second = torch.load(train(pool, tmp_path, longer, resume=True), weights_only=True)
    assert second["step"] == 2
    assert any(not torch.equal(first["network"][name], value) for name, value in second["network"].items())
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["resumed_at"] for line in log if "plan" in line] == [0, 1]
    assert [line["cases"] for line in log if "loss" in line] == [1, 1]
    with pytest.raises(SystemExit, match="no cases for training"):
        train(tmp_path, tmp_path, plan, resume=False)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # of torch itself
def test_exported_weights_answer_as_torch_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert export(new_network(), tmp_path / "ais.onnx") < 1e-3


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_two_networks_answer_by_the_mean_of_their_probabilities(tmp_path: Path) -> None:
    torch.manual_seed(0)
    served = new_pair().eval()
    one, other = (served.get_submodule(name) for name in (PLAIN, ANOTHER))
    images = torch.randn(2, CHANNELS, VIEW.size, VIEW.size)
    with torch.no_grad():
        answer = served(images)
        assert torch.allclose(answer.sigmoid(), (one(images).sigmoid() + other(images).sigmoid()) / 2, atol=1e-3)
        export(served, tmp_path / "pair.onnx")
        assert torch.allclose(read_network(tmp_path / "pair.onnx").eval()(images), answer, atol=2e-3)
        # Training goes on with the one that joined last.
        assert torch.allclose(read_any(tmp_path / "pair.onnx", ANOTHER).eval()(images), other(images), atol=2e-3)


def test_the_card_says_what_the_network_was_trained_for() -> None:
    assert load_card("ais").preprocess == VIEW


def test_what_is_fitted_goes_into_card_and_rule(pool: Path, tmp_path: Path) -> None:
    card = load_card("ais")
    engine = open_engine(write_core_network(tmp_path / "tiny.onnx", size=VIEW.size), threads=1)
    numbers = read_numbers(FOLDER / "ais" / card.baselines["adc620"].file)
    found = look(pool / "fit-00008.npz", card, engine, numbers)
    assert isinstance(found, Looked)
    assert found.false_ml == {}
    dice, lesion_f1 = found.scores[0.5]
    assert 0.3 < dice <= 1
    assert 0 < lesion_f1 <= 1
    healthy = Case.load(pool / "fit-00008.npz")
    empty = Case(healthy.dwi.clip(0, 1), healthy.adc, healthy.marks & INSIDE, healthy.voxel_ml, 0.0)
    empty.save(pool / "empty.npz")
    without = look(pool / "empty.npz", card, engine, numbers)
    assert isinstance(without, Looked)
    assert without.false_ml[0.5] == 0
    fitted = fit([found, without])
    assert fitted.study[1] > 0
    rule, described = tmp_path / "rule.yaml", tmp_path / "model.yaml"
    rule.write_bytes((FOLDER / "ais" / card.baselines["adc620"].file).read_bytes())
    described.write_bytes((FOLDER / "ais" / "model.yaml").read_bytes())
    enter(rule, described, Fitted(0.4, [1.0, 2, 3, 4], [5.0, 6, 7, 8], 0.321, 0.875, 0.125))
    assert "flagged: 0.875\nunflagged: 0.125" in rule.read_text()
    text = described.read_text()
    assert "threshold: 0.4\n" in text
    assert "operating_point: {probability: 0.321," in text
    assert "evidence: {slice: [1.0, 2, 3, 4], study: [5.0, 6, 7, 8]}" in text
    assert card.baselines["adc620"].sha256 not in text
    assert card.weights.sha256 in text
