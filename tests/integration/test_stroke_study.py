"""MR studies of a stroke and of a tumour on a real ledger, from their instances to SEG and SR, by their models."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.ct import as_bytes
from support.instances import data_set_of
from support.jobs import drain
from support.mosaic import siemens, united_imaging

from dicom_router import assemble, route
from dicom_router.persist import persist
from models.prediction import Prediction
from models.preview import render_preview
from models.registry import load_card, load_model
from models.volume import Volume
from services import parts
from services.context import Context
from services.demonstration.phantom import PhantomStudy, write_phantoms
from services.inference.infer import Infer
from services.ledger import workitems
from services.ledger.intake import Sender, close_association, open_association
from services.ledger.workitems import Cause, State
from services.results import encode
from services.review import conformance, selection, sources
from services.review.tasks import load_tasks

DCIODVFY = Path(sys.executable).with_name("dciodvfy")


@dataclass(frozen=True)
class Answer:
    prediction: Prediction
    preview: bytes


class Models:
    """The models without Ray."""

    def analyse(self, model: str, inputs: Mapping[str, Volume]) -> Answer:
        prediction = load_model(model).predict(inputs)
        key_slice = prediction.findings[0].key_slice
        reference = inputs[load_card(model).reference_of(inputs).role]
        return Answer(prediction, render_preview(reference, prediction.segmentation, key_slice, modality="MR"))


@pytest.fixture(scope="module")
def stroke(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    [study] = write_phantoms(tmp_path_factory.mktemp("phantoms"), only=["stroke"])
    return study


@pytest.fixture(scope="module")
def tumour(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    [study] = write_phantoms(tmp_path_factory.mktemp("phantoms"), only=["tumour"])
    return study


@pytest.fixture
def site(context: Context) -> Context:
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    context = replace(context, settings=context.settings.model_copy(update={"router": router}))
    parts.register_models(context)
    return context


def _push(context: Context, study: PhantomStudy, series: Iterable[int]) -> None:
    _send(context, (path.read_bytes() for n in series for path in sorted((study.directory / f"series{n}").iterdir())))


def _send(context: Context, instances: Iterable[bytes]) -> None:
    sender = Sender(uuid4(), "MR", "NIGHTJAR", "127.0.0.1:1")
    with context.pool.connection() as connection:
        open_association(connection, sender, context.now())
    for data in instances:
        persist(context, data_set_of(data), "1.2.840.10008.1.2.1", sender)
    with context.pool.connection() as connection:
        close_association(connection, sender.association_id, "released", context.now())
    drain(context, {"assemble": assemble.STAGE, "route": route.STAGE})


def _rows(context: Context, query: str) -> list[dict[str, Any]]:
    with context.pool.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def _result(context: Context, kind: str, tmp_path: Path) -> Dataset:
    [row] = _rows(context, f"SELECT digest FROM result WHERE kind = '{kind}' AND superseded_at IS NULL")
    data = context.store.get(row["digest"])
    (tmp_path / kind).write_bytes(data)
    done = subprocess.run([DCIODVFY, tmp_path / kind], capture_output=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert {b"Segmentation", b"ComprehensiveSR"} & set(lines)
    assert [line for line in lines if line.startswith(b"Error")] == []
    return dcmread(BytesIO(data))


def test_without_its_adc_map_the_study_says_so_and_is_analysed_when_it_comes(
    site: Context, stroke: PhantomStudy
) -> None:
    _push(site, stroke, [2, 4])
    [study] = _rows(site, "SELECT state, reason FROM study")
    assert study["state"] == "not_applicable"
    assert study["reason"].startswith("Not applicable: missing ADC for ais")

    _push(site, stroke, [3])
    [analysis] = _rows(site, "SELECT inputs FROM analysis")
    assert set(analysis["inputs"]) == {"DWI", "ADC", "FLAIR"}
    [study] = _rows(site, "SELECT state FROM study")
    assert study["state"] == "analysing"


def test_a_stroke_is_flagged_and_goes_back_on_the_dwi_with_adc_and_flair_as_evidence(
    site: Context, stroke: PhantomStudy, tmp_path: Path
) -> None:
    _push(site, stroke, [2, 3])
    _push(site, stroke, [4])
    drain(site, {"infer": Infer(Models()).stage(attempts=1), "encode": encode.STAGE})

    analyses = _rows(site, "SELECT state, inputs, measurements, reason FROM analysis ORDER BY id")
    assert [row["state"] for row in analyses] == ["superseded", "analysed"], analyses[-1]["reason"]
    [finding] = _rows(site, "SELECT label, volume_ml, f.urgency FROM finding f JOIN analysis a ON a.id = analysis_id")
    [put_in] = stroke.bleeds
    assert finding["label"] == put_in.label
    assert finding["volume_ml"] == pytest.approx(put_in.volume_ml, rel=0.3)
    assert finding["urgency"] == 1
    assert set(analyses[-1]["measurements"]) == {measure.name for measure in load_card("ais").measures}

    headers = [dcmread(path, stop_before_pixels=True) for path in stroke.directory.rglob("*.dcm")]
    weighted = {ds.SOPInstanceUID for ds in headers if ds.get("DiffusionBValue") == 1000}
    segmentation, report = _result(site, "seg", tmp_path), _result(site, "sr", tmp_path)
    [series] = segmentation.ReferencedSeriesSequence
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == weighted
    [segment] = segmentation.SegmentSequence
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "432504007"
    [evidence] = report.CurrentRequestedProcedureEvidenceSequence
    named = {
        item.ReferencedSOPInstanceUID
        for series in evidence.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    others = {ds.SOPInstanceUID for ds in headers if ds.SeriesNumber in (3, 4)}
    assert named == weighted | others | {segmentation.SOPInstanceUID}


@pytest.mark.parametrize("side_by_side", [siemens, united_imaging])
def test_a_stroke_whose_diffusion_comes_as_mosaics_is_flagged_alike(
    site: Context, stroke: PhantomStudy, tmp_path: Path, side_by_side: Callable[[list[Dataset]], Dataset]
) -> None:
    mosaics = {}
    for number in (2, 3):
        volumes: dict[float | None, list[Dataset]] = {}
        for path in sorted((stroke.directory / f"series{number}").iterdir()):
            each = dcmread(path)
            volumes.setdefault(each.get("DiffusionBValue"), []).append(each)
        for b_value, slices in volumes.items():
            mosaics[number, b_value] = side_by_side(sorted(slices, key=lambda each: each.ImagePositionPatient[2]))
    assert [b_value for number, b_value in mosaics if number == 2] == [0, 1000]
    _send(site, map(as_bytes, mosaics.values()))
    drain(site, {"infer": Infer(Models()).stage(attempts=1), "encode": encode.STAGE, "select": selection.STAGE})

    [finding] = _rows(site, "SELECT volume_ml FROM finding")
    [put_in] = stroke.bleeds
    assert finding["volume_ml"] == pytest.approx(put_in.volume_ml, rel=0.3)
    segmentation, report = _result(site, "seg", tmp_path), _result(site, "sr", tmp_path)
    weighted = mosaics[2, 1000]
    assert (segmentation.Rows, segmentation.Columns) < (weighted.Rows, weighted.Columns)
    [series] = segmentation.ReferencedSeriesSequence
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence] == [weighted.SOPInstanceUID]
    [evidence] = report.CurrentRequestedProcedureEvidenceSequence
    assert len(evidence.ReferencedSeriesSequence) == 3  # both, and the segmentation
    with site.pool.connection() as connection:
        [item] = workitems.list_workitems(connection, [State.TO_ANNOTATE])
        mask = sources.answer_mask(site, connection, item)
    assert mask is not None
    assert mask.volumes_ml() == {1: pytest.approx(finding["volume_ml"])}
    lines = conformance.keep(site, item, load_tasks()["ais-mri"])
    assert lines is not None
    [wide] = [line for line in lines if (line["role"], line["what"]) == ("DWI", "Field of view")]
    assert (wide["found"], wide["fits"]) == ("230 mm", True)


def test_a_flagged_stroke_becomes_a_workitem_with_its_protocol_looked_at(site: Context, stroke: PhantomStudy) -> None:
    _push(site, stroke, [2, 3, 4])
    drain(site, {"infer": Infer(Models()).stage(attempts=1), "select": selection.STAGE})
    with site.pool.connection() as connection:
        [item] = workitems.list_workitems(connection, [State.TO_ANNOTATE])
        mask = sources.answer_mask(site, connection, item)
    assert (item.task, item.cause, item.readers, item.priority) == ("ais-mri", Cause.FLAG, 2, 1)
    [finding] = _rows(site, "SELECT volume_ml FROM finding")
    assert mask is not None
    assert mask.volumes_ml() == {1: pytest.approx(finding["volume_ml"])}

    lines = conformance.keep(site, item, load_tasks()["ais-mri"])
    assert lines is not None
    found = {(line["role"], line["what"]): (line["found"], line["fits"]) for line in lines}
    assert found["FLAIR", "Sequence"] == ("present", True)
    assert found["T1", "Sequence"] == ("missing", False)
    assert found["DWI", "b-values"] == ("0, 1000", True)
    assert found["DWI", "Field of view"] == ("230 mm", True)
    assert float(found["DWI", "Signal to noise"][0]) > 10
    assert conformance.keep(site, item, load_tasks()["ais-mri"]) == lines


def test_a_tumour_is_flagged_on_the_t1_with_contrast_and_becomes_a_workitem(
    site: Context, tumour: PhantomStudy, tmp_path: Path
) -> None:
    _push(site, tumour, [2, 3])
    [study] = _rows(site, "SELECT state, reason FROM study")
    assert (study["state"], "missing T1c and FLAIR for tumour" in study["reason"]) == ("not_applicable", True)
    _push(site, tumour, [4, 5])
    drain(site, {"infer": Infer(Models()).stage(attempts=1), "encode": encode.STAGE, "select": selection.STAGE})

    [analysis] = _rows(site, "SELECT inputs, measurements FROM analysis WHERE state = 'analysed'")
    assert set(analysis["inputs"]) == {"T1c", "FLAIR", "T2", "T1"}
    [put_in] = tumour.bleeds
    assert analysis["measurements"]["whole tumour"] == pytest.approx(put_in.volume_ml, rel=0.4)
    assert {row["label"] for row in _rows(site, "SELECT label FROM finding")} == {
        "non-enhancing tumour",
        "oedema",
        "enhancing tumour",
    }
    segmentation, report = _result(site, "seg", tmp_path), _result(site, "sr", tmp_path)
    assert len(segmentation.SegmentSequence) == 3
    [series] = segmentation.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == analysis["inputs"]["T1c"]
    [evidence] = report.CurrentRequestedProcedureEvidenceSequence
    assert len(evidence.ReferencedSeriesSequence) == 5  # the four sequences, and the segmentation
    with site.pool.connection() as connection:
        [item] = workitems.list_workitems(connection, [State.TO_ANNOTATE])
        mask = sources.answer_mask(site, connection, item)
    assert (item.task, item.series_uid, item.cause) == ("tumour-regions", series.SeriesInstanceUID, Cause.FLAG)
    assert mask is not None
    assert set(mask.volumes_ml()) == {1, 2, 3}
