"""From stored instances to queued analyses: the assemble and route stages on a real ledger, without a worker."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from support.ct import multi_frame
from support.instances import ROOT, ct, encoded
from support.jobs import drain, waiting

from dicom_router import assemble, explain, route
from dicom_router.persist import persist
from services.context import Context
from services.ledger.intake import Sender, close_association, open_association

_STAGES = {"assemble": assemble.STAGE, "route": route.STAGE}
_STUDY = f"{ROOT}.1"


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime(2026, 1, 1, 3, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Site:
    """A hospital that sends, and the two stages behind the listener."""

    context: Context
    clock: Clock

    def open(self) -> Sender:
        sender = Sender(uuid4(), "SCANNER", "NIGHTJAR", "test")
        with self.context.pool.connection() as connection:
            open_association(connection, sender, self.clock())
        return sender

    def send(self, sender: Sender, datasets: Sequence[Dataset]) -> None:
        for dataset in datasets:
            persist(self.context, encoded(dataset), "1.2.840.10008.1.2.1", sender)
            self.clock.advance(0.02)

    def release(self, association_id: UUID, ending: str = "released") -> None:
        with self.context.pool.connection() as connection:
            close_association(connection, association_id, ending, self.clock())

    def push(self, datasets: Sequence[Dataset]) -> None:
        sender = self.open()
        self.send(sender, datasets)
        self.release(sender.association_id)
        drain(self.context, _STAGES)

    def wait(self, seconds: float) -> int:
        self.clock.advance(seconds)
        found = assemble.sweep(self.context)
        drain(self.context, _STAGES)
        return found

    def rows(self, query: str) -> list[dict[str, object]]:
        with self.context.pool.connection() as connection:
            return connection.execute(query.encode()).fetchall()

    def execute(self, statement: str) -> None:
        with self.context.pool.connection() as connection:
            connection.execute(statement.encode())

    def study(self) -> tuple[object, object]:
        [row] = self.rows(f"SELECT state, reason FROM study WHERE study_uid = '{_STUDY}'")
        return row["state"], row["reason"]

    def analyses(self) -> list[tuple[object, object]]:
        return [(row["inputs"], row["state"]) for row in self.rows("SELECT inputs, state FROM analysis ORDER BY id")]

    def answer(self) -> None:
        """What the infer stage does to the states."""
        self.execute("UPDATE analysis SET state = 'running' WHERE state = 'queued'")
        self.execute("UPDATE analysis SET state = 'analysed' WHERE state = 'running'")
        self.execute(
            "UPDATE study SET state = 'analysed', analysed_at = now(), flagged_at = now() WHERE state = 'analysing'"
        )


@pytest.fixture
def site(context: Context) -> Site:
    clock = Clock()
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    settings = context.settings.model_copy(update={"router": router})
    found = Site(replace(context, settings=settings, now=clock), clock)
    found.execute("INSERT INTO model VALUES ('ich', '1.0.0', 'abc', '{NCCT}', '{}', 30)")
    return found


def _head(series: int = 1, slices: int = 24, **values: object) -> list[Dataset]:
    return [ct(index, series=series, **values) for index in range(slices)]


def _dose_report() -> Dataset:
    return ct(
        0, series=9, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67", Modality="SR", SeriesDescription="Dose Report",
        ImagePositionPatient=None, ImageOrientationPatient=None, ImageType=None,
    )  # fmt: skip


_NCCT = {"NCCT": f"{ROOT}.1.1"}


def test_a_head_ct_is_analysed_as_soon_as_its_sender_releases(site: Site) -> None:
    site.push(_head())
    assert site.study() == ("analysing", None)
    assert site.analyses() == [(_NCCT, "queued")]
    assert len(waiting(site.context, "infer")) == 1
    [series] = site.rows("SELECT * FROM series")
    assert series["state"] == "complete"
    assert series["role"] == "NCCT"
    assert "24 slice positions without a gap" in str(series["reason"])
    assert "Chosen for NCCT" in str(series["role_reason"])
    assert f"Score {series['role_score']}" in str(series["role_reason"])


def test_a_multi_frame_head_is_as_many_slices_as_it_has_frames(site: Site) -> None:
    site.push([multi_frame(_head())])
    assert site.study() == ("analysing", None)
    assert site.analyses() == [(_NCCT, "queued")]


def test_a_multi_frame_image_of_three_frames_is_no_head(site: Site) -> None:
    site.push([multi_frame(_head(slices=3))])
    assert site.analyses() == []
    [series] = site.rows("SELECT role_reason FROM series")
    assert "Too few slices" in str(series["role_reason"])


def test_a_b_value_that_is_several_does_not_stop_routing(site: Site) -> None:
    with disable_value_validation():
        site.push(_head(DiffusionBValue=[0.0, 1000.0]))
    assert site.analyses() == [(_NCCT, "queued")]


def test_an_open_association_that_falls_silent_does_not_delay(site: Site) -> None:
    sender = site.open()
    site.send(sender, _head())
    assert site.wait(1) == 0
    assert site.study() == ("receiving", None)
    assert site.wait(2.5) == 1
    assert site.study() == ("analysing", None)


def test_a_gap_waits_for_the_fallback_and_parks_the_study_with_its_position(site: Site) -> None:
    datasets = _head()
    del datasets[10]
    site.push(datasets)
    assert site.study()[0] == "receiving"
    assert site.wait(30) == 0
    assert site.wait(31) == 1
    state, reason = site.study()
    assert state == "parked"
    assert "1 slice missing at 50.0 mm" in str(reason)
    site.push([ct(10)])
    assert site.study() == ("analysing", None)


def test_a_late_slice_supersedes(site: Site) -> None:
    site.push(_head(slices=24))
    site.answer()
    site.execute(
        "INSERT INTO result"
        " (study_uid, analysis_id, kind, sop_class_uid, sop_instance_uid, series_uid, digest, size_bytes)"
        " SELECT study_uid, id, 'seg', '1', '2', '3', 'd', 1 FROM analysis"
    )
    site.execute("INSERT INTO delivery (result_id, destination) SELECT id, 'pacs' FROM result")
    site.push([ct(24)])
    assert site.analyses() == [(_NCCT, "superseded"), (_NCCT, "queued")]
    assert site.study()[0] == "analysing"
    assert [row["state"] for row in site.rows("SELECT state FROM delivery")] == ["cancelled"]
    assert site.rows("SELECT superseded_at IS NOT NULL AS marked FROM result") == [{"marked": True}]
    assert site.rows("SELECT flagged_at FROM study") == [{"flagged_at": None}]


def test_an_irrelevant_late_series_changes_no_answer(site: Site) -> None:
    site.push(_head())
    site.answer()
    site.push([_dose_report()])
    assert site.study() == ("analysed", None)
    assert site.analyses() == [(_NCCT, "analysed")]
    assert site.rows("SELECT flagged_at IS NOT NULL AS kept FROM study") == [{"kept": True}]
    assert site.rows(f"SELECT role, role_reason FROM series WHERE series_uid = '{ROOT}.1.9'") == [
        {
            "role": None,
            "role_reason": "A report, presentation state, segmentation or document, not an image"
            " (rule report-or-object).",
        }
    ]


def test_a_resend_changes_nothing(site: Site) -> None:
    site.push(_head())
    site.answer()
    events = site.rows("SELECT count(*) AS n FROM event")
    site.push(_head())
    assert site.study() == ("analysed", None)
    assert site.rows("SELECT count(*) AS n FROM event") == events


def test_nothing_that_fits_is_said_once_every_series_is_closed(site: Site) -> None:
    chest = {"BodyPartExamined": "CHEST", "StudyDescription": "Chest", "SeriesDescription": "Chest 5.0"}
    first, second = site.open(), site.open()
    site.send(first, _head(series=1, **chest))
    site.send(second, _head(series=2, **chest))
    site.release(first.association_id)
    drain(site.context, _STAGES)
    assert site.study()[0] == "receiving"
    site.release(second.association_id)
    drain(site.context, _STAGES)
    state, reason = site.study()
    assert state == "not_applicable"
    assert "No model applies" in str(reason)
    assert "ich needs NCCT" in str(reason)


def test_a_better_series_still_arriving_is_waited_for(site: Site) -> None:
    bone, soft = site.open(), site.open()
    site.send(bone, _head(series=2, ConvolutionKernel="H60s", SeriesDescription="Head bone 5.0"))
    site.send(soft, _head(series=1))
    site.release(bone.association_id)
    drain(site.context, _STAGES)
    assert site.study() == ("receiving", "The series for NCCT is still being received.")
    site.release(soft.association_id)
    drain(site.context, _STAGES)
    assert site.analyses() == [(_NCCT, "queued")]
    [row] = site.rows(f"SELECT role_reason FROM series WHERE series_uid = '{ROOT}.1.2'")
    assert "Not chosen: another series scores" in str(row["role_reason"])


def test_an_input_that_becomes_the_best_again_is_analysed_again(site: Site) -> None:
    site.push(_head(series=2, ConvolutionKernel="H60s", SeriesDescription="Head bone 5.0"))
    site.answer()
    site.push(_head(series=1, slices=20))
    assert site.analyses() == [({"NCCT": f"{ROOT}.1.2"}, "superseded"), (_NCCT, "queued")]
    site.push([ct(30, series=1)])  # leaves a gap of ten slices
    assert site.wait(61) == 1
    assert site.analyses()[0] == ({"NCCT": f"{ROOT}.1.2"}, "queued")
    assert site.study()[0] == "analysing"


def test_a_model_of_several_roles_waits_for_all_and_names_what_is_incomplete(site: Site) -> None:
    site.execute("DELETE FROM model")
    site.execute("INSERT INTO model VALUES ('ais', '1', 'abc', '{DWI,ADC}', '{}', 20)")
    mr = {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "ConvolutionKernel": None}
    site.push(_head(series=1, SeriesDescription="ep2d_diff_trace", **mr))
    assert site.study()[0] == "not_applicable"
    site.push([one for one in _head(series=2, SeriesDescription="ADC", **mr) if one.InstanceNumber != 7])
    site.wait(61)
    state, reason = site.study()
    assert state == "parked"
    assert "The series for ADC is incomplete" in str(reason)
    site.push([ct(6, series=2, SeriesDescription="ADC", **mr)])
    assert site.analyses() == [({"DWI": f"{ROOT}.1.1", "ADC": f"{ROOT}.1.2"}, "queued")]


def test_no_model_yet_parks_only_after_its_retries(site: Site) -> None:
    site.execute("DELETE FROM model")
    site.push(_head())  # drain gives up at the first Retry
    assert site.study() == ("parked", "Could not be routed: No model is registered yet.")


def test_only_conflicting_instances_leave_nothing_open(site: Site) -> None:
    site.push(_head())
    site.push([ct(0, study=2, SOPInstanceUID=f"{ROOT}.1.1.1")])
    assert site.rows(f"SELECT state FROM study WHERE study_uid = '{ROOT}.2'") == [{"state": "not_applicable"}]


def test_explain_names_evidence_roles_and_choice_but_no_patient(site: Site) -> None:
    from rich.console import Console

    site.push([*_head(), _dose_report()])
    found = explain.explain(site.context.pool, f"{ROOT}.1.9")
    text = str(found.as_dict())
    for said in ("without a gap", "Chosen for NCCT", "routed", "SCANNER"):
        assert said in text
    assert "Müller" not in text
    console = Console(width=200, record=True, quiet=True)
    console.print(explain.render(found))
    with pytest.raises(explain.UnknownUID, match=r"9\.9\.9"):
        explain.explain(site.context.pool, "9.9.9")
