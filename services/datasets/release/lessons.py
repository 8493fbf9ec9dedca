"""A release read back: each accepted mask with the images it was drawn on, by the split of its patient."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.card import Card
from models.errors import InvalidVolume
from models.finetune.labelled import Labelled, Lessons, Read
from models.nifti import read_nifti
from services.datasets.evaluation.cases import Study, find_studies, read_images
from services.datasets.evaluation.truth import read_truth
from services.errors import Reject, SettingsError

LAYOUT = "bids"


@dataclass(frozen=True)
class ReleasedStudy:
    """One accepted mask; images by role."""

    split: str
    images: Mapping[str, Path]
    mask: Path

    @property
    def name(self) -> str:
        return self.mask.name.partition("_space-")[0]


@dataclass(frozen=True)
class ReleaseFolder:
    """A release that lies whole where it was written.

    Attributes:
        digest: SHA-256 of its release.json, which has a digest of every other file.
        labels: values of the masks by name.
    """

    name: str
    digest: str
    labels: Mapping[str, int]
    studies: tuple[ReleasedStudy, ...]


def open_release(folder: Path) -> ReleaseFolder:
    """Look at a release and hold every file against its digest.

    Raises:
        SettingsError: the folder is no release, or one of another layout.
        Reject: a file of it is missing or was changed.
    """
    try:
        data = (folder / "release.json").read_bytes()
        content: dict[str, Any] = json.loads(data)
        files, layout = dict(content["files"]), str(content["layout"])
        studies = tuple(
            ReleasedStudy(
                entry["split"],
                {role: folder / file for role, file in entry["images"].items()},
                folder / entry["mask"],
            )
            for entry in content["index"]
        )
        release = ReleaseFolder(
            str(content["name"]), hashlib.sha256(data).hexdigest(), dict(content["labels"]), studies
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise SettingsError(
            f"{folder} is no release: it has no release.json that can be read. Name a folder that nightjar dataset "
            "export wrote."
        ) from None
    if layout != LAYOUT:
        raise SettingsError(f"{folder} has the layout {layout}. Export the release with --layout {LAYOUT}.")
    wrong = [file for file, digest in files.items() if not _is_whole(folder / file, digest)]
    if wrong:
        raise Reject(
            f"{folder}: {len(wrong)} files are missing or were changed since the release, such as {wrong[0]}. Export "
            "it again, or take a copy that is whole."
        )
    return release


def read_lessons(release: ReleaseFolder, card: Card) -> Lessons:
    """What a model learns from: the training split, and the validation split to hold it against.

    A study is read when it is asked for, which raises Reject where image or mask do not go with the model.
    """
    read: dict[str, list[Read]] = defaultdict(list)
    for study in release.studies:
        read[study.split].append(partial(_read, study, release.labels, card))
    return Lessons(release.name, release.digest, tuple(read["train"]), tuple(read["validation"]))


def read_known(folder: Path, card: Card) -> tuple[Read, ...]:
    """Studies with their truth in `images` and `truth`, as `nightjar evaluate` reads them and models' own held-out
    sets are written; each is read when it is asked for.

    Raises:
        SettingsError: a folder is missing, or a line for each study that does not fit.
    """
    if missing := [name for name in ("images", "truth") if not (folder / name).is_dir()]:
        raise SettingsError(
            f"--known {folder} has no folder {missing[0]}. Name one that make evaluate-{card.name} wrote."
        )
    found = find_studies(folder / "images", folder / "truth", card)
    return tuple(partial(_read_known, study, study.truth, card) for study in found if study.truth is not None)


def _is_whole(path: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False


def _read(study: ReleasedStudy, names: Mapping[str, int], card: Card) -> Labelled:
    roles = [entry.role for entry in card.inputs if entry.role in study.images]
    missing = [entry.role for entry in card.inputs if not entry.optional and entry.role not in roles]
    if missing:
        raise Reject(f"{study.name} has no {', '.join(missing)}, which {card.name} reads. Is this a release for it?")
    try:
        inputs = {role: read_nifti(study.images[role])[0] for role in roles}
        drawn = read_nifti(study.mask)[0].voxels
    except InvalidVolume as error:
        raise Reject(str(error)) from error
    if drawn.shape != inputs[roles[0]].voxels.shape:
        raise Reject(f"The mask of {study.name} does not lie on the grid of its {roles[0]}.")
    return Labelled(inputs, _labels(study, drawn, names, card))


def _read_known(study: Study, truth: Path, card: Card) -> Labelled:
    try:
        inputs = read_images(study, card)
        return Labelled(inputs, read_truth(truth, inputs[card.reference_of(inputs).role], card))
    except InvalidVolume as error:
        raise Reject(f"{study.name}: {error}") from error


def _labels(
    study: ReleasedStudy, drawn: NDArray[np.float32], names: Mapping[str, int], card: Card
) -> NDArray[np.uint8]:
    """The mask with the card's values, label by label of the same name."""
    values = {label.name: label.value for label in card.labels}
    found = np.zeros(drawn.shape, np.uint8)
    for name, value in names.items():
        marked = drawn == value
        if not marked.any():
            continue
        if name not in values:
            raise Reject(f"{study.name} has voxels of {name}, which is no label of {card.name} {card.version}.")
        found[marked] = values[name]
    return found
