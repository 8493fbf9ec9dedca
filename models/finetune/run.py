"""Fine-tuning: parent and accepted labels in, a folder with ONNX and card out, as `nightjar model add` takes it."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import mean
from typing import Protocol

import numpy as np
import torch
import yaml
from torch import nn

from models import exporting
from models.card import Card, Lineage, Measurement, Weights
from models.engines import open_engine
from models.errors import InvalidVolume, UnwritableOutput
from models.finetune import ais, ich
from models.finetune.labelled import Labelled, Lessons, Read
from models.registry import Model
from models.training import Loss, Plan, learn
from models.unet.committee import inputs_of
from models.unet.weights import read_network

Dice = dict[str, float]
"""Mean Dice by label over the studies that either experts or model mark, on the acquired grid."""

FORGIVEN = 0.02
"""Mean Dice that may be lost on what the parent knew: so much comes and goes with the draw of the batches."""


class TooLittle(InvalidVolume):
    """There is nothing to learn from."""


class Case(Protocol):
    """A study as a network learns it."""

    def save(self, path: Path) -> None: ...


@dataclass(frozen=True)
class Teaching:
    """How one model's network learns: a study as its case, and the loss of batches from a pool of cases."""

    make_case: Callable[[Labelled, Model], Case]
    loss_of: Callable[[nn.Module, Card, Path, int], Loss]


TEACHINGS: Mapping[str, Teaching] = {
    "ich": Teaching(ich.make_case, ich.loss_of),
    "ais": Teaching(ais.make_case, ais.loss_of),
}


@dataclass(frozen=True)
class Finetuned:
    """What came out.

    Attributes:
        learned, replayed: cases of the release and of the synthetic pool.
        before, after: on the release's validation split, of parent and new version; empty without one.
        known_before, known_after: the same on studies of the kind that the parent learned from; empty without any.
        difference: largest of a logit between torch and engine, relative.
    """

    card: Card
    learned: int
    replayed: int
    before: Dice
    after: Dice
    known_before: Dice
    known_after: Dice
    difference: float

    @property
    def is_better(self) -> bool | None:
        """Whether the mean Dice over the labels rose; None where it was not measured."""
        return mean(self.after.values()) > mean(self.before.values()) if self.before and self.after else None

    @property
    def forgets(self) -> bool | None:
        """Whether more than FORGIVEN of the mean Dice on what the parent knew is lost; None where not measured."""
        if not (self.known_before and self.known_after):
            return None
        return mean(self.known_after.values()) < mean(self.known_before.values()) - FORGIVEN


def finetune(
    card: Card,
    weights: Path,
    lessons: Lessons,
    out: Path,
    plan: Plan,
    *,
    version: str,
    replay: Path | None = None,
    known: Sequence[Read] = (),
    threads: int = 1,
    clock: Callable[[], float] = time.monotonic,
) -> Finetuned:
    """Go on training a version and write the new one into the new folder `out`, whole or not at all.

    Args:
        card, weights: of the version it goes on from.
        replay: a pool of synthetic cases of the model's own training: as many of them as of the release are mixed in,
            so that what it knew is not forgotten.
        known: studies like those the parent learned from, that neither version learns from: what it may forget.
        clock: what the plan's budget is counted by, seconds.

    Raises:
        TooLittle: no study of the release can be learned from.
        InvalidCard: the parent is no network that goes on learning.
        UnwritableOutput: `out` cannot be written.
    """
    torch.set_num_threads(threads)
    teaching = TEACHINGS[card.name]
    network = read_network(weights)
    parent = _open(card, weights, threads)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".part") as scratch:
            pool, folder = Path(scratch) / "pool", Path(scratch) / "made"
            pool.mkdir()
            learned = _fill(pool, lessons.train, teaching, parent)
            replayed = 0 if replay is None else _replay(pool, replay, learned, plan.seed)
            before, known_before = measure(parent, lessons.validation), measure(parent, known)
            learn(network, teaching.loss_of(network, card, pool, plan.batch), pool, plan, resume=False, clock=clock)
            file = folder / "weights" / f"{card.name}-{version}.onnx"
            file.parent.mkdir(parents=True)
            size = card.preprocess.size
            difference = exporting.export(network, file, torch.randn(2, inputs_of(network), size, size))
            lineage = Lineage(
                parent=card.version,
                parent_sha256=card.weights.sha256,
                release=lessons.name,
                release_sha256=lessons.digest,
                cases=learned,
                replayed=replayed,
            )
            made = _card(card, file, version, lineage)
            new = _open(made, file, threads)
            after, known_after = measure(new, lessons.validation), measure(new, known)
            validation = f"{len(lessons.validation)} studies of the validation split of {lessons.name}"
            knew = f"{len(known)} studies of the kind that {card.version} learned from"
            told = _measured(card, validation, before, after) + _measured(card, knew, known_before, known_after)
            made = made.model_copy(update={"measured": told})
            _write(made, folder / "model.yaml")
            folder.rename(out)
    except OSError as error:
        raise UnwritableOutput(f"{out} cannot be written: {error.strerror}. Name a new folder with room.") from error
    return Finetuned(made, learned, replayed, before, after, known_before, known_after, difference)


def measure(model: Model, studies: Sequence[Read]) -> Dice:
    """How far a model's answers overlap with what experts accepted, label by label."""
    found: dict[str, list[float]] = {}
    for read in studies:
        study = read()
        segmentation = model.predict(study.inputs).segmentation
        for label in model.card.labels:
            one, other = segmentation == label.value, study.labels == label.value
            marked = int(one.sum()) + int(other.sum())
            if marked:
                found.setdefault(label.name, []).append(2 * int((one & other).sum()) / marked)
    return {label.name: mean(found[label.name]) for label in model.card.labels if label.name in found}


def _fill(pool: Path, studies: Sequence[Read], teaching: Teaching, parent: Model) -> int:
    """Write the studies as cases; those that the model cannot read teach it nothing."""
    written = 0
    for number, read in enumerate(studies):
        study = read()
        try:
            teaching.make_case(study, parent).save(pool / f"train-{number:05d}.npz")
        except InvalidVolume:
            continue
        written += 1
    if not written:
        raise TooLittle("The release's training split holds no study that this model can read. Release more studies.")
    return written


def _replay(pool: Path, replay: Path, most: int, seed: int) -> int:
    known = sorted(replay.glob("train-*.npz"))
    if not known:
        raise TooLittle(f"{replay} holds no case for training. Name a pool that models.NAME.train made.")
    chosen = np.random.default_rng(seed).choice(len(known), size=min(most, len(known)), replace=False)
    for number in chosen:
        shutil.copyfile(known[number], pool / f"train-replay-{known[number].name}")
    return len(chosen)


def _open(card: Card, weights: Path, threads: int) -> Model:
    model: Model = import_module(f"models.{card.name}.model").create(card, open_engine(weights, threads=threads))
    return model


def _card(card: Card, file: Path, version: str, lineage: Lineage) -> Card:
    return card.model_copy(
        update={
            "version": version,
            "weights": Weights(file=f"weights/{file.name}", sha256=hashlib.sha256(file.read_bytes()).hexdigest()),
            "lineage": lineage,
            "baselines": {},  # they stay with the version that ships
            "limits": (
                f"Goes on from {card.version}, whose operating points it keeps and whose limits may still hold:",
                *card.limits,
            ),
        }
    )


def _measured(card: Card, on: str, before: Dice, after: Dice) -> tuple[Measurement, ...]:
    return tuple(
        Measurement(what=f"Mean Dice of {name}, {card.version} before", on=on, value=f"{dice:.2f}, {before[name]:.2f}")
        for name, dice in after.items()
        if name in before
    )


def _write(card: Card, path: Path) -> None:
    content = card.model_dump(mode="json", exclude_defaults=True)
    head = f"# Written by nightjar train finetune, from {card.name}. Research use, not for diagnosis.\n"
    path.write_text(head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")
