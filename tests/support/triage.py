"""Invented studies in a real ledger, and the pages served from a thread over a real socket."""

import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import Image

from services.context import Context
from services.ledger.accounts import Role, create_account
from services.ledger.database import Connection
from services.triage.app import WebServer, bind, create_app, make_server
from services.triage.site import Extension

PASSWORD = "correct horse battery"
_FAR_FROM_REAL = "1.2.826.0.1.3680043.8.498."


def add_account(context: Context, name: str, *roles: Role) -> None:
    with context.pool.connection() as connection:
        create_account(connection, name, PASSWORD, roles or (Role.RADIOLOGIST,))


def add_study(
    connection: Connection,
    number: int,
    *,
    name: str = "EXAMPLE^PAT",
    description: str = "CT Head without contrast",
    minutes_ago: float = 1.0,
    instances: int = 32,
    accession: str | None = None,
) -> str:
    """A study of one series, in state receiving; its UID."""
    study_uid = f"{_FAR_FROM_REAL}{number}"
    arrived = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    connection.execute(
        """INSERT INTO study (study_uid, patient_id, patient_name, patient_birth_date, patient_sex, accession_number,
               description, study_date, study_time, first_instance_at, last_instance_at)
           VALUES (%s, %s, %s, '19580412', 'F', %s, %s, '20261121', '021500', %s, %s)""",
        [study_uid, f"P{number:05d}", name, accession or f"A{number:06d}", description, arrived, arrived],
    )
    connection.execute(
        """INSERT INTO series (series_uid, study_uid, modality, description, series_number, instances)
           VALUES (%s, %s, 'CT', 'Axial 5 mm', 2, %s)""",
        [f"{study_uid}.2", study_uid, instances],
    )
    return study_uid


def end_study(connection: Connection, study_uid: str, state: str, reason: str | None = None) -> None:
    connection.execute("UPDATE study SET state = %s, reason = %s WHERE study_uid = %s", [state, reason, study_uid])


def add_analysis(connection: Connection, study_uid: str, *, model: str = "ich") -> int:
    """A queued analysis, the study analysing."""
    connection.execute(
        """UPDATE series SET state = 'complete', role = 'NCCT', role_reason = 'Head CT without contrast, axial'
           WHERE study_uid = %s AND state = 'receiving'""",
        [study_uid],
    )
    connection.execute("UPDATE study SET state = 'analysing' WHERE study_uid = %s AND state = 'receiving'", [study_uid])
    row = connection.execute(
        """INSERT INTO analysis (study_uid, model, model_version, weights_digest, inputs, input_digest)
           VALUES (%s, %s, '0.1.0', 'w', '{}', %s) RETURNING id""",
        [study_uid, model, study_uid],
    ).fetchone()
    assert row is not None
    return int(row["id"])


def run_analysis(connection: Connection, analysis_id: int) -> None:
    connection.execute("UPDATE analysis SET state = 'running' WHERE id = %s", [analysis_id])


def finish_analysis(
    connection: Connection,
    analysis_id: int,
    findings: dict[str, float],
    *,
    urgency: int = 3,
    preview_key: str | None = None,
) -> None:
    """The running analysis answers with volumes in mL by label, and its study is analysed."""
    for label, volume_ml in findings.items():
        connection.execute(
            """INSERT INTO finding (analysis_id, label, probability, volume_ml, urgency, key_slice)
               VALUES (%s, %s, 0.9137, %s, %s, 14)""",
            [analysis_id, label, volume_ml, urgency],
        )
    connection.execute(
        """UPDATE analysis SET state = 'analysed', urgency = %s, preview_key = %s, analysed_at = clock_timestamp()
           WHERE id = %s""",
        [urgency, preview_key, analysis_id],
    )
    connection.execute(
        """UPDATE study SET state = 'analysed', urgency = least(urgency, %s), analysed_at = clock_timestamp()
           WHERE study_uid = (SELECT study_uid FROM analysis WHERE id = %s)""",
        [urgency, analysis_id],
    )


def flag_study(
    context: Context, number: int, findings: dict[str, float], *, urgency: int = 1, **study: str | float | int
) -> tuple[str, int]:
    """A whole study from arrival to answer, with a picture; its UID and the analysis."""
    key = context.store.put(draw_preview(number, bool(findings)))
    with context.pool.connection() as connection:
        study_uid = add_study(connection, number, **study)  # type: ignore[arg-type]
        analysis_id = add_analysis(connection, study_uid)
        run_analysis(connection, analysis_id)
        finish_analysis(connection, analysis_id, findings, urgency=urgency, preview_key=key)
    return study_uid, analysis_id


def park_delivery(connection: Connection, analysis_id: int, destination: str) -> None:
    row = connection.execute(
        """INSERT INTO result
               (study_uid, analysis_id, kind, sop_class_uid, sop_instance_uid, series_uid, digest, size_bytes)
           SELECT study_uid, id, 'seg', '1.2.840.10008.5.1.4.1.1.66.4', '2.25.' || id, '2.25.1', 'd', 1
           FROM analysis WHERE id = %s RETURNING id""",
        [analysis_id],
    ).fetchone()
    assert row is not None
    delivery = connection.execute(
        "INSERT INTO delivery (result_id, destination, attempts) VALUES (%s, %s, 12) RETURNING id",
        [row["id"], destination],
    ).fetchone()
    assert delivery is not None
    connection.execute(
        "UPDATE delivery SET state = 'parked', reason = 'The association was refused.' WHERE id = %s", [delivery["id"]]
    )


def say_inference_lives(connection: Connection, *, ago_s: float = -3600.0) -> None:
    """A heartbeat of the inference part; by default one that stays fresh for the test."""
    connection.execute(
        """INSERT INTO heartbeat (part, instance, at, detail)
           VALUES ('inference', 'test:1', clock_timestamp() - make_interval(secs => %s), '{"healthy": true}')
           ON CONFLICT (part, instance) DO UPDATE SET at = excluded.at""",
        [ago_s],
    )


def draw_preview(seed: int, marked: bool) -> bytes:
    """A PNG that resembles a slice of a head, with an outline when marked; nobody's anatomy."""
    generator = np.random.default_rng(seed)
    size = 256
    y, x = np.mgrid[:size, :size].astype(np.float32)
    radius = np.hypot((x - 128) / 92, (y - 128) / 112)
    grey = np.where(radius < 1, 235, 0) + np.where(radius < 0.92, -140, 0)
    grey = grey + np.where(radius < 0.9, generator.normal(0, 9, (size, size)), 0)
    for side in (-1, 1):
        grey = np.where(np.hypot((x - 128 - side * 15) / 9, (y - 112) / 30) < 1, 48, grey)
    image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if marked:
        centre_x, centre_y = 128 + generator.integers(-45, 45), 128 + generator.integers(-40, 50)
        blob = np.hypot((x - centre_x) / 20, (y - centre_y) / 15) + 0.08 * np.sin(x / 5)
        image[blob < 1] = np.clip(image[blob < 1].astype(int) + 75, 0, 255).astype(np.uint8)
        image[np.abs(blob - 1.12) < 0.07] = (255, 122, 117)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


class ServedPages:
    """The pages on a loopback port that can be stopped and started again, as an upgrade would."""

    def __init__(self, context: Context, extensions: Sequence[Extension] = ()) -> None:
        self._context, self._extensions = context, extensions
        self.port = 0
        self._server: WebServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        listener = bind("127.0.0.1", self.port)
        self.port = listener.getsockname()[1]
        server = make_server(create_app(self._context, self._extensions))
        self._thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        self._thread.start()
        self._server = server
        while not server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None


@contextmanager
def served(context: Context, extensions: Sequence[Extension] = ()) -> Iterator[ServedPages]:
    pages = ServedPages(context, extensions)
    pages.start()
    try:
        yield pages
    finally:
        pages.stop()
