"""Series with images and outlines in a real ledger and store, as intake and the infer stage leave them."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from psycopg.types.json import Jsonb
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from support.instances import encoded
from support.triage import draw_preview

from dicom_router.persist import persist
from models.prediction import Finding, Urgency
from services.context import Context
from services.ledger import analyses, routing
from services.ledger.arrays import pack_array
from services.ledger.intake import Sender, open_association


def receive(context: Context, datasets: Sequence[Dataset]) -> tuple[str, str]:
    """Intake of a series; Study and Series Instance UID."""
    settings = context.settings.model_copy(
        update={"router": context.settings.router.model_copy(update={"low_disk_mb": 0})}
    )
    roomy = replace(context, settings=settings)
    sender = Sender(uuid.uuid4(), "SCANNER", "NIGHTJAR", "127.0.0.1:1")
    with context.pool.connection() as connection:
        open_association(connection, sender, datetime.now(UTC))
    for dataset in datasets:
        persist(roomy, encoded(dataset), ExplicitVRLittleEndian, sender)
    return str(datasets[0].StudyInstanceUID), str(datasets[0].SeriesInstanceUID)


def analyse(
    context: Context,
    study_uid: str,
    series_uid: str,
    labels: NDArray[np.uint8],
    findings: Sequence[Finding],
    *,
    model_version: str = "0.1.0",
    probabilities: Mapping[str, float] | None = None,
    image: NDArray[np.float32] | None = None,
) -> int:
    """An answer of `ich` on a series: labels (slice, row, column) and findings, or an image; its analysis."""
    with context.pool.connection() as connection:
        connection.execute(
            """UPDATE series SET state = 'complete', role = 'NCCT', role_reason = 'Head CT without contrast, axial'
               WHERE series_uid = %s AND state = 'receiving'""",
            [series_uid],
        )
        connection.execute(
            "UPDATE study SET state = 'analysing' WHERE study_uid = %s AND state = 'receiving'", [study_uid]
        )
        row = connection.execute(
            """INSERT INTO analysis (study_uid, model, model_version, weights_digest, inputs, input_digest)
               VALUES (%s, 'ich', %s, 'w', %s, %s) RETURNING id""",
            [study_uid, model_version, Jsonb({"NCCT": series_uid}), routing.input_digest(connection, [series_uid])],
        ).fetchone()
        assert row is not None
        analysis = analyses.start(connection, row["id"])
        assert analysis is not None
        urgency = min((finding.urgency for finding in findings), default=Urgency.STANDARD)
        analyses.finish(
            connection,
            analysis,
            findings=findings,
            urgency=urgency,
            probabilities=dict(probabilities or {finding.label: finding.probability for finding in findings}),
            slice_probabilities={},
            measurements={},
            parameters={},
            segmentation_key=context.store.put(pack_array(labels)),
            preview_key=context.store.put(draw_preview(row["id"], bool(findings))),
            image_key=None if image is None else context.store.put(pack_array(image)),
        )
    return int(row["id"])
