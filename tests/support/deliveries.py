"""Results in the ledger as the encode stage leaves them, without a model: for tests of what comes after it."""

from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from support.answers import MODEL, answer
from support.ct import STUDY_UID, blobs, tilted_ct

from models.dicom import read_series
from services.context import Context
from services.results.capture import encode_captures
from services.results.equipment import part10
from services.results.report import encode_report
from services.results.segmentation import encode_segmentation


@dataclass(frozen=True)
class Queued:
    """One result's Part 10 bytes and the delivery that waits for it."""

    delivery_id: int
    result_id: int
    sop_instance_uid: str
    data: bytes


def result_files() -> dict[str, bytes]:
    """Part 10 bytes of a segmentation, its report and one secondary capture, by kind."""
    datasets = tilted_ct()
    made = answer(datasets, blobs((10, 64, 64), [1, 3]))
    segmentation = encode_segmentation(made)
    assert segmentation is not None
    return {
        "seg": part10(segmentation),
        "sr": part10(encode_report(made, segmentation)),
        "sc": part10(encode_captures(made, read_series(datasets))[0]),
    }


def queue_deliveries(context: Context, destination: str) -> dict[str, Queued]:
    """Commit the results of one analysis with a pending delivery each, by kind."""
    queued = {}
    with context.pool.connection() as connection:
        connection.execute("INSERT INTO study (study_uid) VALUES (%s) ON CONFLICT DO NOTHING", [STUDY_UID])
        connection.execute(
            """INSERT INTO analysis (study_uid, model, model_version, weights_digest, inputs, input_digest)
               VALUES (%s, %s, %s, %s, '{}', %s) ON CONFLICT DO NOTHING""",
            [STUDY_UID, MODEL.name, MODEL.version, MODEL.weights_digest, "12" * 32],
        )
        for kind, data in result_files().items():
            header = dcmread(BytesIO(data), stop_before_pixels=True)
            connection.execute(
                """INSERT INTO result
                       (study_uid, analysis_id, kind, sop_class_uid, sop_instance_uid, series_uid, digest, size_bytes)
                   SELECT study_uid, id, %s, %s, %s, %s, %s, %s FROM analysis ON CONFLICT DO NOTHING""",
                [
                    kind,
                    header.SOPClassUID,
                    header.SOPInstanceUID,
                    header.SeriesInstanceUID,
                    context.store.put(data),
                    len(data),
                ],
            )
            row = connection.execute(
                """INSERT INTO delivery (result_id, destination) SELECT id, %s FROM result WHERE kind = %s
                   RETURNING id, result_id""",
                [destination, kind],
            ).fetchone()
            assert row is not None
            queued[kind] = Queued(row["id"], row["result_id"], str(header.SOPInstanceUID), data)
    return queued
