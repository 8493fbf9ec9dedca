"""Answers to encode: five labels of a head CT on the support series."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from models.dicom import read_series
from models.prediction import Finding, ModelIdentity, Urgency
from services.results.answer import Answer, Concept, Label, Predecessor, StudyMeasurement
from services.results.frames import slice_headers
from services.results.gate import place

MODEL = ModelIdentity("ich", "0.1.0", "ab" * 32)
LABELS = tuple(
    Label(value, name, Concept(code, "SCT", meaning), colour)
    for value, name, code, meaning, colour in (
        (1, "IPH", "274100004", "Cerebral hemorrhage", (230, 60, 60)),
        (2, "IVH", "23276006", "Intraventricular hemorrhage", (60, 120, 230)),
        (3, "SDH", "95453001", "Subdural hemorrhage", (60, 200, 120)),
        (4, "EDH", "68752002", "Nontraumatic extradural hemorrhage", (230, 180, 60)),
        (5, "SAH", "21454007", "Subarachnoid hemorrhage", (180, 80, 220)),
    )
)
MEASUREMENTS = (
    StudyMeasurement("midline shift", Concept("midline-shift", "99NIGHTJAR", "Midline shift"), 6.25, "mm"),
    # A value of more than 16 characters is a Long Code Value in DICOM.
    StudyMeasurement(
        "lateral ventricles",
        Concept("lateral-ventricles-volume", "99NIGHTJAR", "Volume of lateral ventricles"),
        31.5,
        "mL",
    ),
)


def answer(
    sources: Sequence[Dataset],
    segmentation: NDArray[np.uint8],
    *,
    model: ModelIdentity = MODEL,
    input_digest: str = "12" * 32,
    predecessors: tuple[Predecessor, ...] = (),
    measured: bool = False,
) -> Answer:
    """An answer whose findings are measured from its own voxels.

    Args:
        measured: with a volume range for every finding, ABC/2 for IPH, and measurements of the study.
    """
    headers = slice_headers(sources, read_series(sources))
    grid = place(headers)
    findings = tuple(
        Finding(label.name, 0.9, grid.measure_ml(segmentation == label.value), Urgency.IMMEDIATE, int(where[0]))
        for label in LABELS
        if len(where := np.flatnonzero((segmentation == label.value).any(axis=(1, 2))))
    )
    if measured:
        findings = tuple(
            replace(
                finding,
                volume_range_ml=(0.8 * finding.volume_ml, 1.3 * finding.volume_ml),
                abc2_ml=1.1 * finding.volume_ml if finding.label == "IPH" else None,
            )
            for finding in findings
        )
    return Answer(
        sources=headers,
        segmentation=segmentation,
        labels=LABELS,
        findings=findings,
        urgency=Urgency.IMMEDIATE if findings else Urgency.STANDARD,
        model=model,
        input_digest=input_digest,
        analysed_at=datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC),
        parameters={"threshold": 0.5},
        institution="Test Hospital",
        predecessors=predecessors,
        measurements=MEASUREMENTS if measured else (),
    )
