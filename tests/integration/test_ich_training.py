"""Training from label maps to weights that the engine reads, as small as it can be."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from support.labelmaps import write_labelmap

from models.card import read_card
from models.engines import open_engine
from models.errors import InvalidCard
from models.exporting import enter
from models.fitting import logistic
from models.ich.postprocess import BONE_HU
from models.ich.train.export import export, join
from models.ich.train.fit import Fitted, fit
from models.ich.train.fit import enter as enter_evidence
from models.ich.train.heldout import write as write_held_out
from models.ich.train.network import MASKS, NEIGHBOURS, new_network
from models.ich.train.pool import (
    CASES_A_PERSON,
    INTRACRANIAL,
    LATERAL,
    LEFT,
    SIZE,
    VOLUMES_ML,
    Case,
    draw_bleeds,
    fill,
)
from models.ich.train.training import (
    CENTRE_HU,
    COLUMNS,
    SCALE_HU,
    WINDOW_HU,
    Cases,
    augment,
    judge,
    normalise,
    train,
    validate,
)
from models.nifti import read_nifti
from models.registry import FOLDER, load_card
from models.synthesis import SUBTYPES
from models.training import Plan
from models.unet.committee import ANOTHER, CLASSES, MIRRORED, PLAIN, Bleeds
from models.unet.grow import begin, read_any
from models.unet.network import SliceUNet
from models.unet.weights import read_network

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # of torch itself

MOMENT_MINUTES = 1e-9
"""A budget that one step uses up."""


def case(number: int) -> Case:
    """A disc of brain in every slice, with a bright square in the middle ones and a ventricle on the left."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    hu = np.full((5, SIZE, SIZE), -1000, np.int16)
    hu[:, np.hypot(y, x) < 70] = 35
    labels = np.zeros(hu.shape, np.uint8)
    labels[1:4, 80:110, 70 + 5 * number : 100 + 5 * number] = 1 + number % 5
    hu[labels > 0] = 70
    marks = labels | np.where(hu > 0, INTRACRANIAL, 0)
    marks[:, 80:90, 120:125] |= LATERAL
    marks[:, :, SIZE // 2 :] |= LEFT
    return Case(hu, marks.astype(np.uint8))


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    folder = tmp_path / "pool"
    folder.mkdir()
    case(0).save(folder / "train-00000.npz")
    case(1).save(folder / "train-00001.npz")
    case(2).save(folder / "evidence-00007.npz")
    return folder


@pytest.fixture(scope="module")
def network() -> SliceUNet:
    torch.manual_seed(0)
    return new_network()


def test_training_and_serving_prepare_alike() -> None:
    card = load_card("ich")
    settings = card.preprocess
    assert (settings.window, settings.centre, settings.scale) == (WINDOW_HU, CENTRE_HU, SCALE_HU)
    assert settings.size == SIZE
    assert [label.name for label in sorted(card.labels, key=lambda label: label.value)] == list(SUBTYPES)
    assert len(card.labels) + 1 == CLASSES
    hu = torch.tensor([-1000.0, -20.0, 50.0, 120.0, 3000.0])
    assert torch.allclose(normalise(hu), torch.tensor([-1.0, -1.0, 0.0, 1.0, 1.0]))


def test_the_network_answers_every_pixel(network: SliceUNet) -> None:
    with torch.no_grad():
        assert network.eval()(torch.zeros(2, len(NEIGHBOURS), SIZE, SIZE)).shape == (2, CLASSES + MASKS, SIZE, SIZE)


def test_the_loss_falls_on_a_repeated_batch(pool: Path) -> None:
    torch.manual_seed(1)
    network = new_network().train()
    images, truth, masks = augment(
        *Cases(pool, "train", NEIGHBOURS).batch(1, 1.0, np.random.default_rng(0)), np.random.default_rng(0)
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(4):
        loss = judge(network(images), truth, masks)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.85 * losses[0]


def test_a_perfect_answer_costs_least_and_bleed_free_batches_cost_something_finite() -> None:
    truth = torch.from_numpy(case(0).labels[1:3]).long()
    masks = torch.ones(2, MASKS, SIZE, SIZE)
    perfect = 20.0 * torch.nn.functional.one_hot(truth, CLASSES).permute(0, 3, 1, 2).float()
    perfect = torch.cat([perfect, 20 * masks], dim=1)
    assert float(judge(perfect, truth, masks)) == pytest.approx(0, abs=1e-3)
    assert float(judge(-perfect, truth, masks)) > 1
    assert np.isfinite(float(judge(torch.zeros_like(perfect), torch.zeros_like(truth), masks)))


def test_moving_an_image_moves_its_marks_with_it(pool: Path) -> None:
    rng = np.random.default_rng(2)
    images, marks = Cases(pool, "train", NEIGHBOURS).batch(6, 1.0, rng)
    moved, target, masks = augment(images, marks, rng)
    assert moved.shape == (6, len(NEIGHBOURS), SIZE, COLUMNS)
    assert target.shape == (6, SIZE, COLUMNS)
    assert masks.shape == (6, MASKS, SIZE, COLUMNS)
    for image, truth, (inside, ventricle, left) in zip(moved[:, NEIGHBOURS.index(0)], target, masks > 0, strict=True):
        assert image[truth > 0].mean() > image[(truth == 0) & inside].mean()
        assert not (truth[~inside] > 0).any()
        # The ventricle was drawn on the left; in a mirrored image it lies on the right, as the image does say.
        column = torch.arange(COLUMNS).expand(SIZE, COLUMNS)
        on_left = column[ventricle].float().mean() > column[inside].float().mean()
        assert (left[ventricle] == on_left).float().mean() > 0.95
        assert 0.3 < left[inside].float().mean() < 0.7


def test_batches_hold_the_neighbours_of_a_slice_and_its_edge_repeats(pool: Path) -> None:
    whole = case(0)
    images, labels = Cases(pool, "train", (-1, 0, 1)).batch(40, 0.0, np.random.default_rng(0))
    assert not (labels & 15).any()
    # The bleed-free slices are the first and the last: one neighbour is themselves.
    assert all(np.array_equal(i[1], i[0]) or np.array_equal(i[1], i[2]) for i in images)
    # A few are shown alone.
    assert 0 < sum(np.array_equal(i[0], i[2]) for i in images) < 15
    assert images.dtype == np.float32
    assert images.min() == whole.hu.min()


def test_a_growing_pool_is_taken_up_without_reading_twice(pool: Path) -> None:
    cases = Cases(pool, "train", NEIGHBOURS)
    case(3).save(pool / "train-00002.npz")
    cases.refresh()
    cases.refresh()
    assert len(cases.items) == 3


def test_training_goes_on_from_its_checkpoint(pool: Path, tmp_path: Path) -> None:
    plan = Plan(minutes=MOMENT_MINUTES, batch=1)
    checkpoint = train(pool, tmp_path, plan, resume=False)
    first = torch.load(checkpoint, weights_only=True)
    assert first["step"] == 1
    assert first["spent_s"] > 0
    longer = Plan(minutes=(first["spent_s"] + 1e-6) / 60, batch=1)
    assert train(pool, tmp_path, longer, resume=True) == checkpoint
    second = torch.load(checkpoint, weights_only=True)
    assert second["step"] == 2
    assert second["spent_s"] > first["spent_s"]
    changed = [not torch.equal(first["network"][name], value) for name, value in second["network"].items()]
    assert any(changed)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["resumed_at"] for line in log if "plan" in line] == [0, 1]
    assert [line["step"] for line in log if "loss" in line] == [1, 2]
    assert not list(tmp_path.glob("*.part"))
    # Without --resume it starts anew.
    assert torch.load(train(pool, tmp_path, plan, resume=False), weights_only=True)["step"] == 1


def test_a_larger_network_begins_with_the_answers_of_a_smaller_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small, large = SliceUNet(3, 2, (4, 6, 8)).train(), SliceUNet(7, 2, (4, 9, 12)).train()
    small(torch.randn(4, 3, 16, 16))  # normalisation has statistics to carry over
    torch.save({"network": small.state_dict()}, tmp_path / "small.pt")
    begin(large, tmp_path / "small.pt", lambda: None)
    images = torch.randn(2, 7, 16, 16)
    with torch.no_grad():
        assert torch.allclose(large.eval()(images), small.eval()(images[:, 2:5]), atol=1e-5)
    # What is new takes part once it is learned from.
    large.train()(images).square().mean().backward()
    entrance = large.down[0].body[0].weight.grad
    assert entrance is not None
    assert entrance[:4, :8].abs().sum() > 0


def test_a_committee_answers_by_the_mean_of_all_and_can_be_told_apart_again(tmp_path: Path) -> None:
    torch.manual_seed(0)
    small, large = SliceUNet(3, CLASSES + MASKS, (4, 6)).eval(), SliceUNet(7, CLASSES + MASKS, (6, 8)).eval()
    third = SliceUNet(7, CLASSES + MASKS, (6, 8)).eval()
    images = torch.randn(2, 7, 16, 16)
    committee = Bleeds({PLAIN: small, MIRRORED: large, f"{MIRRORED}2": third}).eval()
    with torch.no_grad():
        answers = [small(images[:, 2:5]), large(images.flip(-1)).flip(-1), third(images.flip(-1)).flip(-1)]
        together = committee(images)
    mean = sum(answer[:, :CLASSES].softmax(1) for answer in answers) / 3
    assert torch.allclose(together[:, :CLASSES].softmax(1), mean, atol=1e-3)
    for answer in answers[1:]:
        answer[:, -1] *= -1  # they look into the mirror, where what is left is right
    assert torch.allclose(together[:, CLASSES:], sum(answer[:, CLASSES:] for answer in answers) / 3, atol=1e-6)
    export(committee, tmp_path / "all.onnx")
    again, last = read_network(tmp_path / "all.onnx").eval(), read_any(tmp_path / "all.onnx").eval()
    with torch.no_grad():
        assert torch.allclose(again(images), together, atol=2e-3)
        # Training goes on with the one that joined last.
        assert torch.allclose(last(images), third(images), atol=2e-3)


def test_another_network_joins_those_that_are_served_or_takes_the_place_of_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second, third = (SliceUNet(7, CLASSES + MASKS, (4, 6)).eval() for _ in range(3))
    export(first, tmp_path / "alone.onnx")
    pair = join(second, tmp_path / "alone.onnx").eval()
    export(pair, tmp_path / "pair.onnx")
    images = torch.randn(2, 7, 16, 16)
    for joined, expected in (
        (join(third, tmp_path / "pair.onnx"), Bleeds({PLAIN: first, MIRRORED: second, f"{MIRRORED}2": third})),
        (join(third, tmp_path / "pair.onnx", PLAIN), Bleeds({PLAIN: third, MIRRORED: second})),
    ):
        with torch.no_grad():
            assert torch.allclose(joined.eval()(images), expected.eval()(images), atol=2e-3)
    with pytest.raises(ValueError, match=r"holds mirrored, plain, and no other"):
        join(third, tmp_path / "pair.onnx", "other")
    with pytest.raises(InvalidCard, match=r"holds the networks mirrored, plain, and no another"):
        read_any(tmp_path / "pair.onnx", ANOTHER)


def test_training_goes_on_from_what_is_served(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained = SliceUNet(7, CLASSES + MASKS, (6, 8)).train()
    served = Bleeds({PLAIN: SliceUNet(3, CLASSES + MASKS, (4, 6)), MIRRORED: trained})
    batch = torch.randn(6, 7, 16, 16)
    for _ in range(20):
        trained(batch)
    export(served, tmp_path / "ich.onnx")
    network = SliceUNet(7, CLASSES + MASKS, (6, 8))
    begin(network, tmp_path / "ich.onnx", lambda: network(batch))
    with torch.no_grad():
        expected = trained.eval()(batch)
        assert torch.allclose(network.eval()(batch), expected, atol=1e-3)
        # Statistics of a batch answer alike, or the first steps would forget what was learned.
        assert torch.allclose(network.train()(batch), expected, atol=1e-3)
        small = read_any(tmp_path / "ich.onnx", PLAIN).eval()
        assert torch.allclose(small(batch[:, 2:5]), served.get_submodule(PLAIN).eval()(batch[:, 2:5]), atol=1e-3)


def test_a_file_of_other_networks_is_refused(tmp_path: Path) -> None:
    members = {PLAIN: SliceUNet(3, CLASSES + MASKS, (4, 6)), MIRRORED: SliceUNet(7, CLASSES + MASKS, (6, 8))}
    export(Bleeds(members), tmp_path / "pair.onnx")
    model = onnx.load(tmp_path / "pair.onnx")
    for each in model.graph.initializer:
        each.name = each.name.replace("mirrored.", "other.")
    for node in model.graph.node:
        node.input[:] = [name.replace("mirrored.", "other.") for name in node.input]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InvalidCard, match="only networks that Nightjar trained"):
        read_network(tmp_path / "other.onnx")


def test_validation_reports_every_subtype(pool: Path, network: SliceUNet) -> None:
    report = validate(network, pool)
    assert list(report) == list(SUBTYPES)
    assert all(0 <= figures["dice"] <= 1 for figures in report.values())


def test_exported_weights_answer_as_torch_does(network: SliceUNet, tmp_path: Path) -> None:
    weights = tmp_path / "ich.onnx"
    assert export(network, weights) < 1e-3
    assert not list(tmp_path.glob("*.data"))
    onnx.checker.check_model(onnx.load(weights))
    shape = (5, len(NEIGHBOURS), SIZE, SIZE)
    stacks: NDArray[np.float32] = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(stacks)).numpy()
    engine = open_engine(weights, threads=1)
    assert np.allclose(engine.run({"slices": stacks})["logits"], expected, atol=1e-3)
    assert np.allclose(engine.run({"slices": stacks[:1]})["logits"], expected[:1], atol=1e-3)


def test_entering_weights_changes_three_lines_of_the_card(tmp_path: Path) -> None:
    before = (FOLDER / "ich" / "model.yaml").read_text(encoding="utf-8")
    card = tmp_path / "model.yaml"
    card.write_text(before, encoding="utf-8")
    digest = hashlib.sha256(b"weights").hexdigest()
    enter(card, "9.8.7", "ich-9.8.7.onnx", digest)
    after = card.read_text(encoding="utf-8")
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    changed = [new for old, new in pairs if old != new]
    assert changed == ["version: 9.8.7", "  file: weights/ich-9.8.7.onnx", f"  sha256: {digest}"]
    assert read_card(card).version == "9.8.7"
    card.write_text("name: ich\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="version"):
        enter(card, "9.8.7", "ich-9.8.7.onnx", digest)
    assert card.read_text(encoding="utf-8") == "name: ich\n"


def test_a_pool_is_made_from_label_maps_and_only_what_is_missing_is_made_again(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    with pytest.raises(SystemExit, match=r"no \*\.nii\.gz"):
        fill(maps, tmp_path / "none", count=1, seed=0)
    write_labelmap(maps / "a.nii.gz")
    write_labelmap(maps / "b.nii.gz")
    pool = tmp_path / "pool"
    fill(maps, pool, count=1, seed=0)
    assert len(list(pool.iterdir())) == CASES_A_PERSON
    made = Case.load(pool / "train-00000.npz")
    assert made.hu.dtype == np.int16
    assert made.marks.dtype == np.uint8
    assert made.hu.shape == made.marks.shape
    assert made.hu.shape[1:] == (SIZE, SIZE)
    assert made.labels.max() <= len(SUBTYPES)
    assert not ((made.labels > 0) & (made.marks & INTRACRANIAL == 0)).any()
    assert not (made.labels[made.hu > BONE_HU] > 0).any()
    stamp = (pool / "train-00000.npz").stat().st_mtime_ns
    fill(maps, pool, count=1, seed=0)
    assert (pool / "train-00000.npz").stat().st_mtime_ns == stamp


def test_held_out_studies_come_with_their_truth(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    write_labelmap(maps / "a.nii.gz")
    write_labelmap(maps / "b.nii.gz")
    write_held_out(maps, tmp_path / "out", 3, 1)
    with (tmp_path / "out" / "truth" / "studies.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["study"] for row in rows] == ["head-0000", "head-0001", "head-0002"]
    for row in rows:
        image, grid = read_nifti(tmp_path / "out" / "images" / f"{row['study']}.nii.gz")
        truth, truth_grid = read_nifti(tmp_path / "out" / "truth" / f"{row['study']}.nii.gz")
        assert image.voxels.shape == truth.voxels.shape
        assert np.allclose(grid.affine, truth_grid.affine)
        assert not truth.voxels[image.voxels > BONE_HU].any()
        for value, label in enumerate(SUBTYPES, start=1):
            assert int(row[label]) == (truth.measure_ml(truth.voxels == value) >= 0.3)


def test_the_signs_weights_separate_what_they_were_fitted_on(pool: Path) -> None:
    rng = np.random.default_rng(0)
    signs = rng.normal(size=(300, 3))
    shown = signs[:, 0] * 2 - signs[:, 2] + rng.normal(size=300) > 0.5
    offset, *slopes = logistic(signs, shown)
    assert slopes[0] > 0 > slopes[2]
    assert abs(slopes[1]) < min(abs(slopes[0]), abs(slopes[2])) / 2
    assert np.mean((offset + signs @ slopes > 0) == shown) > 0.8
    with pytest.raises(SystemExit, match="no evidence cases"):
        fit(load_card("ich"), [])


def test_entering_evidence_changes_nothing_else_of_the_card(tmp_path: Path) -> None:
    card = tmp_path / "model.yaml"
    card.write_text((FOLDER / "ich" / "model.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    before = read_card(card)
    weights = {
        label: Fitted([1.0, 2.0, 3.0, 4.0], [-1.0, 0.5, 0.25, n], 0.1 + n / 10, 0.05, 9, 30)
        for n, label in enumerate(SUBTYPES)
    }
    enter_evidence(card, weights)
    enter_evidence(card, weights)  # again: replaced, not doubled
    after = read_card(card)
    for n, label in enumerate(SUBTYPES):
        evidence = after.label(label).evidence
        assert evidence is not None
        assert evidence.slice == (1, 2, 3, 4)
        assert evidence.study == (-1, 0.5, 0.25, n)
        assert after.label(label).operating_point.probability == pytest.approx(0.1 + n / 10)
        assert after.label(label).operating_point.volume_ml == before.label(label).operating_point.volume_ml
    fitted = {"evidence": None, "operating_point": before.labels[0].operating_point}
    clean = [label.model_copy(update=fitted) for label in before.labels]
    assert [label.model_copy(update=fitted) for label in after.labels] == clean
    assert after.model_copy(update={"labels": before.labels}) == before


def test_drawn_bleeds_lie_within_their_volumes() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_bleeds(rng, 0.3) for _ in range(400)]
    assert 0.2 < np.mean([not bleeds for bleeds in drawn]) < 0.4
    assert {bleed.label for bleeds in drawn for bleed in bleeds} == set(SUBTYPES)
    for bleeds in drawn:
        assert len({bleed.label for bleed in bleeds}) == len(bleeds)
        for bleed in bleeds:
            low, high = VOLUMES_ML[bleed.label]
            assert low * 0.999 <= bleed.volume_ml <= high * 1.001
