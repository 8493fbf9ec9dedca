"""Flat layouts for training: nnU-Net v2, and the Medical Segmentation Decathlon's, which MONAI reads.

Both want every case with the same channels on the mask's grid: roles that all cases have are channels, and an image on
another grid is resampled (linear). Patients of the split `test` lie apart, with their labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.resample import resample
from services.datasets.release.case import Case, CaseImage
from services.datasets.release.entry import Entry, Plan, numbered, split_of, write_bytes, write_json
from services.datasets.release.nifti import nifti_bytes, whole
from services.datasets.release.provenance import provenance
from services.datasets.release.sidecar import sidecar

_CHANNEL_NAMES: Final = {"NCCT": "CT"}
"""nnU-Net scales what is called CT by Hounsfield units, and everything else by each image's own mean."""

_TEST: Final = "test"


@dataclass(frozen=True)
class _Written:
    """A case of a flat layout: its name without ending, and its entry."""

    name: str
    entry: Entry


def write_nnunet(folder: Path, cases: Sequence[Case], plan: Plan) -> list[Entry]:
    """nnU-Net v2's raw dataset: a file a channel; splits_final.json has our split for nnUNet_preprocessed."""
    roles = _channels(cases, plan)
    written = []
    for case, run in numbered(cases, plan.pseudonyms):
        name, place = _name(case, run), _place(case)
        paths = {role: f"images{place}/{name}_{number:04d}.nii.gz" for number, role in enumerate(roles)}
        digests = {
            paths[role]: write_bytes(folder / paths[role], nifti_bytes(_on_grid(case, role), case.images[0].grid))
            for role in roles
        }
        written.append(_write_rest(folder, case, name, paths, digests, plan))
    training = [each for each in written if each.entry.split != _TEST]
    write_json(
        folder / "dataset.json",
        {
            "name": plan.name,
            "description": plan.task.title,
            "release": str(plan.number),
            "channel_names": {str(number): _CHANNEL_NAMES.get(role, role) for number, role in enumerate(roles)},
            "labels": {"background": 0, **{entry.name: value for value, entry in enumerate(plan.task.labels, 1)}},
            "numTraining": len(training),
            "file_ending": ".nii.gz",
        },
    )
    split = {
        key: [each.name for each in written if each.entry.split == name]
        for key, name in (("train", "train"), ("val", "validation"))
    }
    write_json(folder / "splits_final.json", [split])
    return [each.entry for each in written]


def write_decathlon(folder: Path, cases: Sequence[Case], plan: Plan) -> list[Entry]:
    """The Decathlon's: one file a case, its channels along the fourth axis; dataset.json lists every split."""
    roles = _channels(cases, plan)
    written = []
    for case, run in numbered(cases, plan.pseudonyms):
        name = _name(case, run)
        path = f"images{_place(case)}/{name}.nii.gz"
        channels = [_on_grid(case, role) for role in roles]
        data = channels[0] if len(channels) == 1 else np.stack(channels)
        digest = write_bytes(folder / path, nifti_bytes(data, case.images[0].grid))
        written.append(_write_rest(folder, case, name, dict.fromkeys(roles, path), {path: digest}, plan))
    splits: dict[str, list[dict[str, str]]] = {key: [] for key in ("training", "validation", _TEST)}
    for each in written:
        key = {"train": "training"}.get(each.entry.split, each.entry.split)
        splits[key].append({"image": f"./{next(iter(each.entry.images.values()))}", "label": f"./{each.entry.mask}"})
    write_json(
        folder / "dataset.json",
        {
            "name": plan.name,
            "description": plan.task.title,
            "release": str(plan.number),
            "tensorImageSize": "3D" if len(roles) == 1 else "4D",
            "modality": {str(number): _CHANNEL_NAMES.get(role, role) for number, role in enumerate(roles)},
            "labels": {"0": "background", **{str(n): entry.name for n, entry in enumerate(plan.task.labels, 1)}},
            "numTraining": len(splits["training"]),
            "numTest": len(splits[_TEST]),
            **splits,
        },
    )
    return [each.entry for each in written]


def _channels(cases: Sequence[Case], plan: Plan) -> list[str]:
    """Roles that every case has, the mask's own first, then as the task names them."""
    shared = set.intersection(*({image.role for image in case.images} for case in cases))
    return [role for role in (plan.task.grid, *plan.task.beside) if role in shared]


def _name(case: Case, run: str) -> str:
    return f"{case.participant}_{case.session}{run}"


def _place(case: Case) -> str:
    return "Ts" if split_of(case.lots) == _TEST else "Tr"


def _on_grid(case: Case, role: str) -> NDArray[Any]:
    """An image's voxels where the mask's are, (slice, row, column)."""
    image: CaseImage = next(each for each in case.images if each.role == role)
    outside = float(image.volume.voxels.min())
    return whole(resample(image.volume, case.images[0].volume, outside=outside))


def _write_rest(
    folder: Path, case: Case, name: str, images: dict[str, str], digests: dict[str, str], plan: Plan
) -> _Written:
    """Label map with values from 1 without a gap, and provenance with what the headers say."""
    table = np.zeros(256, np.uint8)
    for value, entry in enumerate(plan.task.labels, 1):
        table[entry.value] = value
    mask = f"labels{_place(case)}/{name}.nii.gz"
    write_bytes(folder / mask, nifti_bytes(table[case.mask.labels], case.images[0].grid))
    told = {**provenance(case, plan, digests), "Images": {image.role: sidecar(image) for image in case.images}}
    write_json(folder / "provenance" / f"{name}.json", told)
    written = Entry(case.participant, case.session, split_of(case.lots), images, mask, f"provenance/{name}.json")
    return _Written(name, written)
