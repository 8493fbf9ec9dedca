"""Demonstration studies: DICOM as scanners write it, with known bleeds, infarcts and tumours put into synthetic heads.

    studies = write_phantoms(Path("phantoms"))

Every CT study has a localiser, an axial series, a dose report and, in some, a second reconstruction; an MR study has
a diffusion series, its ADC map and a FLAIR, or T1, T2 and FLAIR, some with a T1 after contrast as well. What is in them
is written beside them as `phantom.json`. The same seed writes the same bytes.
"""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from models.synthesis import SUBTYPES, Acquisition, Bleed, SyntheticHead, synthesize_head
from models.volume import Volume
from services.demonstration.ct import ct_series, localiser
from services.demonstration.dose_report import IrradiationEvent, dose_report
from services.demonstration.header import StudyHeader, write_part10
from services.demonstration.kernel import sharpen
from services.demonstration.localiser import project
from services.demonstration.mr import mr_series, synthesize_stroke, synthesize_tumours, tumour_series
from services.demonstration.plan import DEMONSTRATION, PhantomPlan, PlannedBleed, State
from services.demonstration.reduced import reduced_series
from services.demonstration.trunk import synthesize_trunk
from services.errors import SettingsError

MANIFEST = "phantom.json"
SLICES = 32
STEP_MM = 5.0
FIELD_OF_VIEW_MM = 230.4
_WORKERS = 2

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PhantomStudy:
    """One study as written.

    Attributes:
        name: its plan's name, also its folder.
        expected: state it should end in.
        bleeds: what it shows; volumes as they came out, in millilitres on the acquired grid.
        missing: instance numbers of the axial series left out on purpose.
        directory: folder of its instances.
    """

    study_uid: str
    name: str
    description: str
    expected: State
    bleeds: tuple[PlannedBleed, ...]
    missing: tuple[int, ...]
    directory: Path


def write_phantoms(
    out: Path,
    *,
    seed: int = 0,
    only: Sequence[str] | None = None,
    matrix: int = 512,
    progress: Progress | None = None,
) -> list[PhantomStudy]:
    """Write the demonstration studies, a folder each, and the manifest.

    Args:
        seed: shapes, noise and UIDs follow from it.
        only: names of the studies to write; None: all.
        matrix: rows and columns of axial CT images.
        progress: called with (name, written, of) as studies are done.

    Raises:
        SettingsError: `only` names a study there is none of.
    """
    names = [plan.name for plan in DEMONSTRATION]
    unknown = sorted(set(only or ()) - set(names))
    if unknown:
        raise SettingsError(f"There is no phantom called {', '.join(unknown)}. There are: {', '.join(names)}.")
    chosen = [name for name in names if only is None or name in only]
    write = partial(_write_study, out, seed, matrix)
    written: dict[str, PhantomStudy] = {}
    for study in _each(write, chosen):
        written[study.name] = study
        if progress is not None:
            progress(study.name, len(written), len(chosen))
    studies = [written[name] for name in chosen]
    (out / MANIFEST).write_text(json.dumps({"studies": [_manifest_entry(study, out) for study in studies]}, indent=2))
    return studies


def _each(write: Callable[[str], PhantomStudy], names: list[str]) -> Iterator[PhantomStudy]:
    if len(names) == 1:
        yield write(names[0])
        return
    # Spawned, not forked: the caller may hold sockets and threads. Ctrl-C is the caller's to handle; leaving the
    # block ends the workers at once.
    ignore_interrupt = (signal.SIGINT, signal.SIG_IGN)
    with get_context("spawn").Pool(min(_WORKERS, len(names)), signal.signal, ignore_interrupt) as pool:
        yield from pool.imap_unordered(write, names)


def _manifest_entry(study: PhantomStudy, out: Path) -> dict[str, object]:
    return {**asdict(study), "directory": str(study.directory.relative_to(out))}


def _write_study(out: Path, seed: int, matrix: int, name: str) -> PhantomStudy:
    number, plan = next((n, plan) for n, plan in enumerate(DEMONSTRATION, start=1) if plan.name == name)
    header = StudyHeader(plan, seed, number)
    directory = out / f"{number:02d}-{name}"
    bleeds: tuple[PlannedBleed, ...] = ()
    objects: Iterator[Dataset]
    if plan.anatomy == "stroke":
        study = synthesize_stroke(list(plan.infarcts), seed * 1000 + number, rotation_deg=plan.rotation_deg)
        core_ml = round(study.scan.dwi.measure_ml(study.scan.core > 0), 1)
        if plan.infarcts:
            bleeds = (PlannedBleed("ischaemic core", core_ml),)
        objects = mr_series(header, study)
    elif plan.anatomy == "tumour":
        tumoured = synthesize_tumours(list(plan.tumours), seed * 1000 + number, rotation_deg=plan.rotation_deg)
        bleeds = (PlannedBleed("whole tumour", round(tumoured.images["T1c"].measure_ml(tumoured.marks > 0), 1)),)
        objects = tumour_series(header, tumoured)
    elif plan.anatomy == "reduced":
        objects = reduced_series(header, seed * 1000 + number)
    else:
        soft, bone, bleeds = _anatomy(plan, seed * 1000 + number, matrix)
        objects = _objects(header, soft, bone)
    for ds in objects:
        if ds.SeriesNumber == 2 and ds.InstanceNumber in plan.missing:
            continue
        write_part10(ds, directory / f"series{ds.SeriesNumber}" / f"IM{ds.InstanceNumber:04d}.dcm")
    return PhantomStudy(
        study_uid=header.study_uid,
        name=name,
        description=plan.description,
        expected=plan.expected,
        bleeds=bleeds,
        missing=plan.missing,
        directory=directory,
    )


def _anatomy(plan: PhantomPlan, seed: int, matrix: int) -> tuple[Volume, Volume | None, tuple[PlannedBleed, ...]]:
    """Soft volume, bone volume if the plan has one, and the bleeds with their true volumes."""
    if plan.anatomy == "trunk":
        return synthesize_trunk(matrix=matrix, slices=SLICES, step_mm=STEP_MM, noise_hu=9.0, seed=seed), None, ()
    acquisition = Acquisition(
        rows=matrix,
        columns=matrix,
        pixel_spacing_mm=FIELD_OF_VIEW_MM / matrix,
        slices=SLICES,
        step_mm=STEP_MM,
        thickness_mm=STEP_MM,
        tilt_deg=-plan.tilt_deg,
        rotation_deg=plan.rotation_deg,
    )
    asked = [Bleed(bleed.label, bleed.volume_ml) for bleed in plan.bleeds if bleed.label in SUBTYPES]
    head = synthesize_head(acquisition, asked, seed)
    bone = sharpen(head.volume, seed) if plan.bone else None
    return head.volume, bone, _measured(plan, head)


def _measured(plan: PhantomPlan, head: SyntheticHead) -> tuple[PlannedBleed, ...]:
    return tuple(
        PlannedBleed(bleed.label, round(head.volume.measure_ml(head.labels == SUBTYPES.index(bleed.label) + 1), 1))
        for bleed in plan.bleeds
    )


def _objects(header: StudyHeader, soft: Volume, bone: Volume | None) -> Iterator[Dataset]:
    """Every object of the study: localisers (series 1), axial images (2, 3), dose report (last)."""
    plan = header.plan
    scanner = plan.scanner
    yield localiser(header, project(soft, "lateral"), instance_number=1)
    if plan.localisers == 2:
        yield localiser(header, project(soft, "frontal"), instance_number=2)
    yield from ct_series(header, soft, series_number=2, kernel="soft", thickness_mm=STEP_MM)
    if bone is not None:
        yield from ct_series(header, bone, series_number=3, kernel="bone", thickness_mm=STEP_MM)
    length = float(np.ptp(soft.offsets_mm)) + STEP_MM
    events = (
        IrradiationEvent(scanner.descriptions["localiser"], 1, "localiser", length + 60.0, 2.6, 20, 0.1),
        IrradiationEvent(scanner.protocol, 2, "sequenced", length, 32.0, 220, 48.6),
    )
    yield dose_report(header, events, (header.uid(1, 1), header.uid(2, 1)), series_number=99)
