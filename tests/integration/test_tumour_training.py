"""From tumours that grow in a head to weights that the engine reads and numbers in the card: as small as it can be."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_network import write_region_network

from models.ais.train.scanner import Grid
from models.ais.train.tissue import draw_maps
from models.engines import open_engine
from models.registry import FOLDER, load_card, load_model
from models.synthesis.anatomy import draw_head
from models.synthesis.space import Space
from models.synthesis.tissue import VOXEL_MM, Tissue
from models.training import Plan
from models.tumour.mark import ENHANCING, NON_ENHANCING, OEDEMA, UNDIVIDED
from models.tumour.model import TumourModel
from models.tumour.network import ROLES
from models.tumour.train import scanner
from models.tumour.train.export import export
from models.tumour.train.fit import Looked, enter, fit, look, look_at_study
from models.tumour.train.heldout import draw, labels_of, marks_of, save
from models.tumour.train.orbits import furnish
from models.tumour.train.pictures import row as picture
from models.tumour.train.pool import INSIDE, LEFT, LEVEL, SMALL, VENTRICLES, VIEW, Case, make_case
from models.tumour.train.scars import add_scars
from models.tumour.train.score import score, table
from models.tumour.train.studies import Study, crop, draw_patient, scan_apart, scan_together
from models.tumour.train.training import (
    CHANNELS,
    COLUMNS,
    MIDDLE,
    OUTPUTS,
    Cases,
    augment,
    judge_middle,
    new_both,
    new_middle,
    train,
)
from models.tumour.train.tumours import Part, Tumour, draw_tumours, grow
from models.unet.grow import read_any
from services.datasets.evaluation.run import Request, evaluate

RING = Tumour("glioblastoma", 30.0, rim_mm=5, filling=Part.NECROSIS, oedema_mm=8, push=0.3, left=True)
GRID = Grid(rows=VIEW.size, columns=VIEW.size, spacing_mm=VIEW.spacing_mm, slices=14, step_mm=10.0, thickness_mm=5.0)
MOMENT_MINUTES = 1e-9


@pytest.fixture(scope="module")
def space() -> Space:
    return crop(Space.of(draw_head(np.random.default_rng(1))))


@pytest.fixture(scope="module")
def study(space: Space) -> Study:
    rng = np.random.default_rng(3)
    return scan_together(draw_patient(space, rng, [RING]), GRID, [RING], rng)


@pytest.fixture(scope="module")
def pool(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    make_case(study, GRID.step_mm).save(folder / "train-00000.npz")
    make_case(study, GRID.step_mm).save(folder / "fit-00008.npz")
    return folder


@pytest.fixture(scope="module")
def written(space: Space, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study as from a scanner, and its head without a tumour."""
    out = tmp_path_factory.mktemp("studies")
    (out / "truth").mkdir()
    lines = ["study,tumour"]
    for name, tumours in (("study-001", [RING]), ("study-002", [])):
        rng = np.random.default_rng(4)
        save(scan_apart(draw_patient(space, rng, tumours), GRID, tumours, rng, movement_mm=0.5), out, name)
        lines.append(f"{name},{tumours[0].kind if tumours else 'none'}")
    (out / "truth" / "studies.csv").write_text("\n".join(lines) + "\n")
    return out


def test_a_tumour_grows_as_large_as_asked_and_pushes_the_brain_aside(space: Space) -> None:
    moved, parts = grow(space, [RING], np.random.default_rng(2))
    voxel_ml = VOXEL_MM**3 / 1000
    body = parts > Part.OEDEMA
    assert body.sum() * voxel_ml == pytest.approx(RING.volume_ml, rel=0.02)
    assert space.anatomy.left[body].mean() > 0.5
    assert (moved.anatomy.tissue != space.anatomy.tissue).sum() * voxel_ml > 5
    wet = parts == Part.OEDEMA
    assert 3 < wet.sum() * voxel_ml < 200
    assert np.isin(moved.anatomy.tissue[wet], [Tissue.LATERAL, Tissue.VENTRICLE, Tissue.CSF]).mean() < 0.01
    enhancing, dead = parts == Part.ENHANCING, parts == Part.NECROSIS
    assert enhancing.sum() > 0.3 * body.sum()
    middle = np.argwhere(body).mean(axis=0)
    away = [np.linalg.norm(np.argwhere(mask) - middle, axis=1).mean() for mask in (dead, enhancing, wet)]
    assert away == sorted(away)


def test_every_kind_of_tumour_is_drawn_and_grows(space: Space) -> None:
    drawn = [draw_tumours(np.random.default_rng(seed)) for seed in range(60)]
    assert {one.kind for tumours in drawn for one in tumours} == {
        "glioblastoma", "low grade", "cystic", "metastasis", "meningioma",
    }  # fmt: skip
    meningioma = Tumour("meningioma", 12.0, rim_mm=100.0, push=0.6)
    _, parts = grow(space, [meningioma], np.random.default_rng(5))
    assert (parts[parts > 0] == Part.ENHANCING).mean() > 0.99
    assert space.depth_mm[parts > 0].min() < 4


def test_the_scanner_shows_what_each_sequence_is_for_and_repeats_itself(space: Space, study: Study) -> None:
    rng = np.random.default_rng(3)
    again = scan_together(draw_patient(space, rng, [RING]), GRID, [RING], rng)
    for role in ROLES:
        np.testing.assert_array_equal(study.images[role].voxels, again.images[role].voxels)
    enhancing = (study.marks & scanner.ENHANCING) > 0
    wet = ((study.marks & scanner.WHOLE) > 0) & ((study.marks & scanner.BODY) == 0)
    usual = study.inside & (study.marks == 0)

    def level(role: str, where: np.ndarray) -> float:
        return float(np.median(study.images[role].voxels[where]) / np.median(study.images[role].voxels[usual]))

    assert level("T1c", enhancing) > 1.25 * level("T1", enhancing)
    assert level("FLAIR", wet) > 1.2
    assert level("T2", wet) > 1.1


def test_a_case_holds_the_study_in_the_networks_view(study: Study) -> None:
    case = make_case(study, GRID.step_mm)
    inside = (case.marks & INSIDE) > 0
    assert case.images.shape == (len(ROLES), *case.marks.shape)
    for image in case.images:
        assert 0.5 * LEVEL < np.median(image[inside]) < 1.8 * LEVEL
    assert case.kind == "glioblastoma"
    assert ((case.marks & SMALL) > 0).sum() < 0.2 * ((case.marks & scanner.WHOLE) > 0).sum()
    assert set(case.volumes()) == set(ROLES)
    ventricles, left = ((case.marks & bit) > 0 for bit in (VENTRICLES, LEFT))
    assert 2 < ventricles.sum() * case.step_mm * VIEW.spacing_mm**2 / 1000 < 100
    assert not (ventricles & ~inside).any()
    assert 0.4 < left[inside].mean() < 0.6
    across = np.broadcast_to(np.arange(VIEW.size), left.shape)
    assert across[inside & left].mean() > across[inside & ~left].mean() + 20


def test_augmentation_leaves_sequences_away_and_does_not_ask_then_what_enhances(pool: Path) -> None:
    rng = np.random.default_rng(0)
    images, target, weight = augment(*Cases(pool).batch(32, rng), rng)
    assert images.shape == (32, CHANNELS, VIEW.size, COLUMNS)
    assert target.shape == weight.shape == (32, OUTPUTS + MIDDLE, VIEW.size, COLUMNS)
    lacking = (images.reshape(32, len(ROLES), -1) == 0).all(dim=2)
    assert 0 < lacking.sum() == lacking.any(dim=1).sum() < 20
    assert torch.equal((weight[:, 2] == 0).flatten(1).all(dim=1), lacking[:, ROLES.index("T1c")])
    assert (target[:, 0] >= target[:, 1]).all()
    assert (target[:, 1] >= target[:, 2]).all()
    middle, shown = images[:, 4], ~lacking[:, ROLES.index("FLAIR")]
    wet = (target[:, 0] > 0) & (target[:, 1] == 0) & shown[:, None, None]
    usual = (target[:, 3] > 0) & (target[:, 0] == 0) & shown[:, None, None]
    assert middle[wet].mean() > middle[usual].mean() + 0.1
    # The left half lies on the same side whether a slice was mirrored or not, and counts inside the skull alone.
    inside, left = target[:, 3] > 0, target[:, 5] > 0
    assert ((weight[:, 5] > 0) == inside).all()
    across = torch.arange(COLUMNS).expand(inside.shape).float()
    assert across[inside & left].mean() > across[inside & ~left].mean() + 20


def test_orbits_have_fat_and_muscles_that_take_up_contrast_and_lie_outside_of_the_skull(space: Space) -> None:
    furnished, muscles = furnish(space, np.random.default_rng(0))
    assert 1 < muscles.sum() * VOXEL_MM**3 / 1000 < 20
    assert not (muscles & space.intracranial).any()
    changed = furnished.anatomy.tissue != space.anatomy.tissue
    assert not (changed & space.intracranial).any()
    eyes = space.anatomy.tissue == Tissue.EYE
    assert (furnished.anatomy.tissue[eyes] == Tissue.EYE).all()
    without, taken = (
        draw_patient(furnished, np.random.default_rng(1), [], muscles=which).uptake for which in (None, muscles)
    )
    assert ((taken - without > 0.3) == muscles).all()


def test_old_infarcts_are_wet_and_spare_tumours(space: Space) -> None:
    rng = np.random.default_rng(2)
    maps, tumour = draw_maps(space, rng), space.brain & space.anatomy.left
    scarred = add_scars(maps, space, tumour, rng, count=3)
    wetter = scarred.t2_ms > 1.2 * maps.t2_ms
    assert wetter.sum() * VOXEL_MM**3 / 1000 > 0.3
    assert (wetter & ~tumour).sum() > 0.9 * wetter.sum()


def test_the_first_study_to_fit_on_shows_no_tumour_and_labels_are_their_bits(tmp_path: Path) -> None:
    first = next(draw(tmp_path, 1, 7, fitting=True))
    assert not first.tumours
    assert not first.marks.any()
    assert set(first.images) == set(ROLES)
    bits = np.array([0, 1, 3, 7], np.uint8)
    np.testing.assert_array_equal(marks_of(labels_of(bits)), bits)


def test_training_goes_on_from_its_checkpoint(pool: Path, tmp_path: Path) -> None:
    plan = Plan(minutes=MOMENT_MINUTES, batch=2)
    first = torch.load(train(pool, tmp_path, plan, resume=False), weights_only=True)
    longer = Plan(minutes=(first["spent_s"] + 1e-6) / 60, batch=2)
    second = torch.load(train(pool, tmp_path, longer, resume=True), weights_only=True)
    assert (first["step"], second["step"]) == (1, 2)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["cases"] for line in log if "loss" in line] == [1, 1]
    with pytest.raises(SystemExit, match="no cases for training"):
        train(tmp_path, tmp_path, plan, resume=False)


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # of torch itself
def test_exported_weights_answer_as_torch_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    served = new_both()
    assert export(served, tmp_path / "tumour.onnx") < 1e-3
    # Each part can be told apart again and gone on with.
    images = torch.randn(1, CHANNELS, VIEW.size, VIEW.size)
    for part, network in (("regions", served.regions), ("middle", served.middle)):
        again = read_any(tmp_path / "tumour.onnx", part)
        with torch.no_grad():
            assert torch.allclose(again.eval()(images), network.eval()(images), atol=1e-3)


def test_left_and_right_are_learned_by_a_small_network_of_their_own(pool: Path, tmp_path: Path) -> None:
    checkpoint = train(pool, tmp_path, Plan(minutes=MOMENT_MINUTES, batch=2), resume=False, middle=True)
    assert [tuple(head.shape[:1]) for head in (new_middle().head.bias, read_any(checkpoint).head.bias)] == [(8,), (8,)]
    target = torch.zeros(1, MIDDLE, 8, 8)
    target[:, :, :, 4:] = 1
    right, wrong = (judge_middle(sign * (40 * target - 20), target, torch.ones(target.shape)) for sign in (1, -1))
    assert right < 1e-3 < 1 < wrong


def test_what_is_fitted_goes_into_the_card(pool: Path, written: Path, tmp_path: Path) -> None:
    card = load_card("tumour")
    assert card.preprocess == VIEW
    engine = open_engine(write_region_network(tmp_path / "tiny.onnx", size=VIEW.size), threads=1)
    case = Case.load(pool / "fit-00008.npz")
    found = look(case.volumes(), case.marks, card, engine)
    assert isinstance(found, Looked)
    assert (found.dice[0] > 0.2).all()
    assert set(found.signs) == {NON_ENHANCING, OEDEMA, ENHANCING, UNDIVIDED}
    bare = Case(case.images.clip(0, LEVEL), case.marks & INSIDE, case.step_mm, "")
    healthy = look(bare.volumes(), bare.marks, card, engine)
    assert np.isnan(healthy.dice).all()
    apart = look_at_study(written, written / "truth" / "study-001.nii.gz", card, engine)
    assert apart.slices_ml[OEDEMA].sum() == pytest.approx(found.slices_ml[OEDEMA].sum(), rel=0.5)
    assert apart.dice[0].max() > 0.2
    fitted = fit([found, healthy, apart], found.dice)
    assert fitted[UNDIVIDED].threshold is None
    described = tmp_path / "model.yaml"
    described.write_bytes((FOLDER / "tumour" / "model.yaml").read_bytes())
    before = described.read_text().splitlines()
    enter(described, fitted)
    text = described.read_text()
    assert text.count("    evidence: {slice: [") == 4
    for label in fitted.values():
        assert f"evidence: {{slice: {label.slices}, study: {label.study}}}" in text
        assert f"operating_point: {{probability: {label.point}," in text
    assert sum(line not in text.splitlines() for line in before) <= 11


def test_written_studies_are_evaluated_scored_and_drawn(written: Path) -> None:
    found = evaluate(
        Request("tumour", written / "images", written / "truth", dataset="two", synthetic=True), on=date(2026, 1, 1)
    )
    assert found.summary.outcomes["analysed"] == 2
    model = load_model("tumour")
    assert isinstance(model, TumourModel)
    rows = [*score(written, {"study": "study-001", "tumour": "glioblastoma"}, model),
            *score(written, {"study": "study-002", "tumour": "none"}, model)]  # fmt: skip
    assert [row["lacking"] for row in rows] == ["", *ROLES, ""]
    lines = list(table(rows))
    assert lines[2].startswith("| all four sequences | 1 |")
    assert "not answered" in next(line for line in lines if line.startswith("| without T1c"))
    assert lines[-1].startswith("Marked where there is no tumour: in ")
    assert picture(written, "study-001").shape[2] == 3
