"""What a PACS would trip over: results that point to nothing, or lie somewhere else than their source."""

from collections.abc import Iterator, Sequence

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from services.demonstration.pacs import Received
from services.demonstration.pushed import PushedInstance, PushedStudy

TOLERANCE_MM = 1e-3


def verify_results(study: PushedStudy, results: Sequence[Received]) -> list[str]:
    """What is wrong with the results of a study, a sentence each; empty when all is well."""
    known = {*study.instances, *(result.sop_instance_uid for result in results)}
    problems = []
    for result in results:
        ds = dcmread(result.path)
        problems += [f"The {result.kind.upper()} {problem}" for problem in verify_result(ds, study, known)]
    return problems


def verify_result(ds: Dataset, study: PushedStudy, known: set[str]) -> Iterator[str]:
    """What is wrong with one SEG, SR or derived image.

    Args:
        known: SOP Instance UIDs it may refer to.
    """
    if ds.StudyInstanceUID != study.study_uid:
        yield "belongs to another study."
    references = set(_references(ds))
    if not references:
        yield "refers to no image."
    if strangers := references - known:
        yield f"refers to {len(strangers)} instances that were never sent."
    if "PerFrameFunctionalGroupsSequence" in ds:
        yield from _verify_frames(ds, study)
    if ds.Modality == "MR":
        yield from _verify_image(ds, study)


def _verify_image(ds: Dataset, study: PushedStudy) -> Iterator[str]:
    """A derived image lies where its source lies, and says that it is no acquired one."""
    source = study.instances.get(ds.SourceImageSequence[0].ReferencedSOPInstanceUID)
    if source is None:
        yield "names no source image."
        return
    if list(ds.ImageType[:2]) != ["DERIVED", "SECONDARY"] or "enhanced" not in ds.SeriesDescription:
        yield "does not say that it is derived."
    if (ds.Rows, ds.Columns, ds.FrameOfReferenceUID) != (source.rows, source.columns, source.frame_of_reference_uid):
        yield "lies on another grid than its source."
    for name, keyword, expected in (
        ("position", "ImagePositionPatient", source.position_mm),
        ("orientation", "ImageOrientationPatient", source.orientation),
        ("spacing", "PixelSpacing", source.spacing_mm),
    ):
        if np.abs(np.asarray(ds[keyword].value, float) - expected).max() > TOLERANCE_MM:
            yield f"has another {name} than its source."


def _verify_frames(ds: Dataset, study: PushedStudy) -> Iterator[str]:
    if len(ds.PerFrameFunctionalGroupsSequence) != ds.NumberOfFrames:
        yield "describes another number of frames than it has."
    shared = ds.SharedFunctionalGroupsSequence[0]
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence, start=1):
        sources = list(_sources(frame, study))
        if not sources:
            yield f"frame {number} names no source image."
        for source in sources:
            for wrong in _verify_frame(ds, frame, shared, source):
                yield f"frame {number}: {wrong}"


def _sources(frame: Dataset, study: PushedStudy) -> Iterator[PushedInstance]:
    for derivation in frame.get("DerivationImageSequence", ()):
        for reference in derivation.get("SourceImageSequence", ()):
            source = study.instances.get(reference.ReferencedSOPInstanceUID)
            if source is not None:
                yield source


def _verify_frame(ds: Dataset, frame: Dataset, shared: Dataset, source: PushedInstance) -> Iterator[str]:
    def differs(name: str, group: str, keyword: str, expected: tuple[float, ...], tolerance: float) -> Iterator[str]:
        groups = frame if group in frame else shared
        value = np.asarray(groups[group].value[0][keyword].value, dtype=float)
        if value.shape != np.shape(expected) or np.abs(value - expected).max() > tolerance:
            yield f"its {name} is not its source's."

    if not source.position_mm:
        return  # a multi-frame source keeps its geometry per frame
    if (ds.Rows, ds.Columns) != (source.rows, source.columns):
        yield "its size is not its source's."
    if ds.FrameOfReferenceUID != source.frame_of_reference_uid:
        yield "its frame of reference is not its source's."
    yield from differs("position", "PlanePositionSequence", "ImagePositionPatient", source.position_mm, TOLERANCE_MM)
    yield from differs("orientation", "PlaneOrientationSequence", "ImageOrientationPatient", source.orientation, 1e-5)
    yield from differs("spacing", "PixelMeasuresSequence", "PixelSpacing", source.spacing_mm, 1e-5)


def _references(ds: Dataset) -> Iterator[str]:
    """Every Referenced SOP Instance UID at any depth."""
    for element in ds:
        if element.keyword == "ReferencedSOPInstanceUID":
            yield str(element.value)
        elif element.VR == "SQ":
            for item in element.value:
                yield from _references(item)
