"""An MR study with two series of fewer phase-encoding lines on a real ledger: two derived series come back, once."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from support.ct import as_bytes
from support.enhanced_mr import enhanced_mr
from support.instances import data_set_of
from support.jobs import drain
from support.scripted_scp import run_scripted

from dicom_router import assemble, route
from dicom_router.persist import persist
from models.prediction import Prediction
from models.preview import render_preview
from models.registry import load_model
from models.volume import Volume
from services import parts
from services.archive_settings import Destination
from services.context import Context
from services.delivery import deliver
from services.demonstration.phantom import PhantomStudy, write_phantoms
from services.demonstration.pushed import pushed_phantom
from services.demonstration.verify import verify_result
from services.inference.infer import Infer
from services.ledger import worklist
from services.ledger.intake import Sender, close_association, open_association
from services.results import encode
from services.results.series import SERIES_NUMBERS
from services.triage.rows import AiState, describe_study

DCIODVFY = Path(sys.executable).with_name("dciodvfy")
SLICES = 24


@dataclass(frozen=True)
class Answer:
    prediction: Prediction
    preview: bytes


class Models:
    """The model without Ray."""

    def analyse(self, model: str, inputs: Mapping[str, Volume]) -> Answer:
        [volume] = inputs.values()
        prediction = load_model(model).predict(inputs)
        return Answer(prediction, render_preview(volume, prediction.segmentation, 0, modality="MR"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    [study] = write_phantoms(tmp_path_factory.mktemp("phantoms"), only=["short-protocol"])
    return study


def _push(context: Context, study: PhantomStudy, *, multi_frame: bool = False) -> None:
    sender = Sender(uuid4(), "MR", "NIGHTJAR", "127.0.0.1:1")
    with context.pool.connection() as connection:
        open_association(connection, sender, context.now())
    files = [path.read_bytes() for path in sorted(study.directory.rglob("*.dcm"))]
    for data in _multi_frame(files) if multi_frame else files:
        persist(context, data_set_of(data), "1.2.840.10008.1.2.1", sender)
    with context.pool.connection() as connection:
        close_association(connection, sender.association_id, "released", context.now())
    drain(context, {"assemble": assemble.STAGE, "route": route.STAGE})


def _multi_frame(files: list[bytes]) -> list[bytes]:
    """Every series as one Enhanced MR, from the head down."""
    series: dict[str, list[Dataset]] = {}
    for data in files:
        dataset = dcmread(BytesIO(data))
        series.setdefault(dataset.SeriesInstanceUID, []).append(dataset)
    return [
        as_bytes(enhanced_mr(sorted(images, key=lambda image: -float(image.ImagePositionPatient[2]))))
        for images in series.values()
    ]


def _rows(context: Context, query: str) -> list[dict[str, Any]]:
    with context.pool.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def _row(context: Context) -> tuple[AiState, str | None]:
    with context.pool.connection() as connection:
        [facts] = worklist.list_studies(connection, context.now() - timedelta(days=1))
    row = describe_study(facts, context.now(), timedelta(hours=1))
    assert row.suspected == ()
    return row.ai_state, row.ai_note


def test_each_cut_series_comes_back_as_a_derived_one_that_says_so(
    context: Context, study: PhantomStudy, tmp_path: Path
) -> None:
    with run_scripted([(MRImageStorage, ExplicitVRLittleEndian)], lambda _: 0x0000) as scp:
        destination = Destination(name="pacs", ae_title="SCRIPTED", host="127.0.0.1", port=scp.port, timeout_s=5)
        router = context.settings.router.model_copy(update={"low_disk_mb": 0})
        alone = context.settings.inference.model_copy(update={"models": ("enhance",)})
        settings = context.settings.model_copy(
            update={"router": router, "destinations": (destination,), "inference": alone}
        )
        context = replace(context, settings=settings)
        parts.register_models(context)
        _push(context, study)
        drain(context, {"infer": Infer(Models()).stage(attempts=1), "encode": encode.STAGE})

        analyses = _rows(context, "SELECT state, reason FROM analysis")
        assert [row["state"] for row in analyses] == ["analysed", "analysed"], analyses
        assert _rows(context, "SELECT 1 FROM finding") == []
        assert _row(context) == (AiState.ENHANCED, "2 enhanced series not sent yet")
        drain(context, {"deliver": deliver.stage(settings)})

    assert [row["state"] for row in _rows(context, "SELECT state FROM delivery")] == ["delivered", "delivered"]
    assert scp.associations == 2
    assert len(scp.received) == len({uid for uid, _, _ in scp.received}) == 2 * SLICES
    assert _row(context) == (AiState.ENHANCED, "2 enhanced series sent")

    [first, *_] = sorted(row["digest"] for row in _rows(context, "SELECT digest FROM result WHERE kind = 'mr'"))
    (tmp_path / "mr.dcm").write_bytes(context.store.get(first))
    said = subprocess.run([DCIODVFY, tmp_path / "mr.dcm"], capture_output=True, check=False, text=True)
    lines = (said.stdout + said.stderr).splitlines()
    assert "MRImage" in lines
    assert [line for line in lines if line.startswith("Error")] == []

    pushed = pushed_phantom(study)
    series: dict[int, list[Dataset]] = {}
    for row in _rows(context, "SELECT digest FROM result WHERE kind = 'mr'"):
        dataset = dcmread(BytesIO(context.store.get(row["digest"])))
        assert list(verify_result(dataset, pushed, set(pushed.instances))) == []
        series.setdefault(dataset.SeriesNumber, []).append(dataset)
    assert {number: len(images) for number, images in series.items()} == {9103: SLICES, 9104: SLICES}
    assert len({dataset.SeriesInstanceUID for images in series.values() for dataset in images}) == 2


def test_frames_of_enhanced_mr_come_back_as_images_with_the_same_pixels(
    context: Context, study: PhantomStudy, tmp_path: Path
) -> None:
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    alone = context.settings.inference.model_copy(update={"models": ("enhance",)})
    context = replace(context, settings=context.settings.model_copy(update={"router": router, "inference": alone}))
    parts.register_models(context)
    _push(context, study, multi_frame=True)
    drain(context, {"infer": Infer(Models()).stage(attempts=1), "encode": encode.STAGE})
    analyses = _rows(context, "SELECT state, reason FROM analysis")
    assert [row["state"] for row in analyses] == ["analysed", "analysed"], analyses

    written = [
        dcmread(BytesIO(context.store.get(row["digest"])))
        for row in _rows(context, "SELECT digest FROM result WHERE kind = 'mr'")
    ]
    assert len({dataset.SOPInstanceUID for dataset in written}) == len(written) == 2 * SLICES
    frames = {
        (reference.ReferencedSOPInstanceUID, reference.ReferencedFrameNumber)
        for dataset in written
        for reference in dataset.SourceImageSequence
    }
    assert len({image for image, _ in frames}) == 2
    assert {number for _, number in frames} == set(range(1, SLICES + 1))

    classic = {}
    for path in study.directory.rglob("*.dcm"):
        source = dcmread(path)
        classic[int(source.SeriesNumber), *source.ImagePositionPatient] = source
    for dataset in written:
        source = classic[dataset.SeriesNumber - SERIES_NUMBERS, *dataset.ImagePositionPatient]
        assert np.corrcoef(dataset.pixel_array.ravel(), source.pixel_array.ravel())[0, 1] > 0.99
        for keyword in ("AcquisitionMatrix", "EchoTime", "RepetitionTime", "PercentSampling", "ScanningSequence"):
            assert dataset[keyword].value == source[keyword].value, keyword

    (tmp_path / "mr.dcm").write_bytes(context.store.get(_rows(context, "SELECT digest FROM result")[0]["digest"]))
    said = subprocess.run([DCIODVFY, tmp_path / "mr.dcm"], capture_output=True, check=False, text=True)
    lines = (said.stdout + said.stderr).splitlines()
    assert "MRImage" in lines
    assert [line for line in lines if line.startswith("Error")] == []


def test_encoding_again_makes_the_same_objects_on_a_finer_grid_too(context: Context, study: PhantomStudy) -> None:
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    alone = context.settings.inference.model_copy(update={"models": ("enhance",)})
    finer = {"router": router, "inference": alone, "enhanced_grid": 2}
    context = replace(context, settings=context.settings.model_copy(update=finer))
    parts.register_models(context)
    _push(context, study)
    drain(context, {"infer": Infer(Models()).stage(attempts=1), "encode": encode.STAGE})
    before = _rows(context, "SELECT sop_instance_uid, digest FROM result ORDER BY id")
    assert len(before) == 2 * SLICES
    written = dcmread(BytesIO(context.store.get(before[0]["digest"])))
    assert (written.Rows, written.AcquisitionMatrix[0]) == (512, 256)

    with context.pool.connection() as connection:
        connection.execute("DELETE FROM result")
        connection.execute("UPDATE analysis SET encoded_at = NULL")
        [first, second] = (row["id"] for row in connection.execute("SELECT id FROM analysis ORDER BY id").fetchall())
    encode.run(context, first)
    encode.run(context, second)
    assert _rows(context, "SELECT sop_instance_uid, digest FROM result ORDER BY id") == before
