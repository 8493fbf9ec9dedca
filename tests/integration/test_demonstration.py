"""The demonstration studies on a real ledger, without a model; and the stand-in PACS on a real socket."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydicom import dcmread
from support.answers import answer
from support.ct import STUDY_UID, as_bytes, blobs, tilted_ct
from support.instances import data_set_of
from support.jobs import drain

from dicom_router import assemble, route
from dicom_router.persist import persist
from services.context import Context, system_clock
from services.delivery.association import Peer
from services.delivery.store_scu import send
from services.demonstration.pacs import StandInPacs
from services.demonstration.phantom import PhantomStudy, write_phantoms
from services.ledger.demonstration import StudyOutcome, read_outcomes
from services.ledger.intake import Sender, close_association, open_association
from services.ledger.served_models import ServedModel, register_models
from services.results.segmentation import encode_segmentation

_STAGES = {"assemble": assemble.STAGE, "route": route.STAGE}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PhantomStudy]:
    studies = write_phantoms(
        tmp_path_factory.mktemp("phantoms"), only=["iph-ivh", "sdh", "missing-slices", "abdomen"], matrix=48
    )
    return {study.name: study for study in studies}


def _arrive(context: Context, study: PhantomStudy) -> StudyOutcome:
    register_models(context.pool, [ServedModel("ich", "0.1.0", "ab" * 32, ("NCCT",), (), 100)])
    sender = Sender(uuid4(), "SCANNER", "NIGHTJAR", "test")
    with context.pool.connection() as connection:
        open_association(connection, sender, context.now())
    for path in sorted(study.directory.rglob("*.dcm")):
        persist(context, data_set_of(path.read_bytes()), "1.2.840.10008.1.2.1", sender)
    with context.pool.connection() as connection:
        close_association(connection, sender.association_id, "released", context.now())
    drain(context, _STAGES)
    later = replace(context, now=lambda: system_clock() + timedelta(seconds=context.settings.router.fallback_s + 1))
    assemble.sweep(later)
    drain(later, _STAGES)
    with context.pool.connection() as connection:
        return read_outcomes(connection, [study.study_uid])[study.study_uid]


@pytest.mark.parametrize("name", ["iph-ivh", "sdh"])
def test_a_head_goes_to_the_model_by_its_soft_series(context: Context, phantoms: dict[str, PhantomStudy], name: str):
    outcome = _arrive(context, phantoms[name])
    assert outcome.state == "analysing"
    assert [series.series_number for series in outcome.series if series.analysed] == [2]
    assert not outcome.done


def test_missing_slices_park_the_study_and_are_named(context: Context, phantoms: dict[str, PhantomStudy]):
    outcome = _arrive(context, phantoms["missing-slices"])
    assert (outcome.state, outcome.done) == ("parked", True)
    assert "2" in outcome.reason
    assert "missing" in outcome.reason


def test_an_abdomen_is_not_applicable(context: Context, phantoms: dict[str, PhantomStudy]):
    outcome = _arrive(context, phantoms["abdomen"])
    assert (outcome.state, outcome.done) == ("not_applicable", True)
    assert outcome.reason
    assert outcome.seconds_to_flag is None


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[StandInPacs]:
    with StandInPacs(tmp_path / "received", knows=lambda uid: uid == STUDY_UID) as pacs:
        yield pacs


def test_the_stand_in_keeps_what_belongs_to_a_pushed_study(pacs: StandInPacs):
    segmentation = encode_segmentation(answer(tilted_ct(), blobs((10, 64, 64), [1])))
    stranger = encode_segmentation(answer(tilted_ct(), blobs((10, 64, 64), [2])))
    stranger.StudyInstanceUID = "2.25.1"
    destination = pacs.destination
    peer = Peer(str(destination.ae_title), str(destination.host), int(destination.port or 0))

    kept, refused = send([as_bytes(segmentation), as_bytes(stranger)], peer, "TEST")

    assert "0xA900" in refused.reason
    [received] = pacs.received(STUDY_UID)
    assert received.kind == "seg"
    assert dcmread(received.path).SOPInstanceUID == segmentation.SOPInstanceUID
    assert kept.reason != refused.reason
