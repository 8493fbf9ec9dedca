"""Correction through the API, by people of different roles: who may what, what is kept, and what each may see."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from hashlib import md5
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from support.ct import blobs, tilted_ct
from support.images import analyse, receive
from support.jobs import drain
from support.triage import PASSWORD, ServedPages, add_account, served

from models.prediction import Finding, Urgency
from services.context import Context
from services.ledger import courses, workitems
from services.ledger.accounts import Role
from services.ledger.opinions import Reason, Verdict, say
from services.ledger.workitems import Purpose, State
from services.results.uids import derive_uid
from services.review import selection, sources
from services.review.arrival import arrived, workitem_of
from services.review.errors import Conflict
from services.review.extension import EXTENSION
from services.review.masks import Mask, decode, encode
from services.review.states import MOVES

SHAPE = (6, 32, 32)
PEOPLE = {
    "ana": (Role.ANNOTATOR,),
    "bo": (Role.ANNOTATOR,),
    "cy": (Role.REVIEWER,),
    "dee": (Role.ARBITER,),
    "ray": (Role.RADIOLOGIST,),
}
Labels = NDArray[np.uint8]


def key_of(uid: str) -> str:
    return md5(uid.encode(), usedforsecurity=False).hexdigest()


class Person:
    """Somebody signed in, who asks the API."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def get(self, path: str, **query: Any) -> Any:
        response = self.client.get(f"/api/v1{path}", params=query)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(f"/api/v1{path}", json=body)

    def does(self, path: str, **body: Any) -> Any:
        response = self.post(path, **body)
        assert response.status_code < 300, response.text
        return response.json() if response.content else None

    def mask(self, item: int, digest: str) -> Mask:
        return decode(self.client.get(f"/api/v1/workitems/{item}/masks/{digest}").content)

    def save(self, item: int, mask: Mask, base: str | None, *, submit: bool = False) -> httpx.Response:
        query = {"tool": "test", "submit": str(submit).lower()} | ({"base": base} if base else {})
        return self.client.post(f"/api/v1/workitems/{item}/annotations", params=query, content=encode(mask))

    def hand_in(self, item: int, labels: Labels) -> None:
        """Grade the images, draw from where one begins, and hand in."""
        self.does(f"/workitems/{item}/quality", value=4)
        opened = self.get(f"/workitems/{item}")
        base = opened["start_digest"]
        response = self.save(item, Mask(labels, GRIDS[item]), base, submit=True)
        assert response.status_code == 201, response.text


GRIDS: dict[int, Any] = {}


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    for name, roles in PEOPLE.items():
        add_account(context, name, *roles)
    with context.pool.connection() as connection:
        for name, year in (("ana", 2015), ("bo", 2016), ("cy", 2005), ("dee", 2000)):
            courses.record_experience(connection, name, date(year, 1, 1))
        for name in ("ana", "bo"):
            courses.admit(connection, name, "ich", passed=True, decided_by="cy", reason="Known to us.")
    with served(context, (EXTENSION,)) as running:
        yield running


@pytest.fixture
def people(pages: ServedPages) -> Iterator[dict[str, Person]]:
    with ExitStack() as stack:
        found = {}
        for name in PEOPLE:
            client = stack.enter_context(
                httpx.Client(
                    base_url=pages.url,
                    headers={"origin": pages.url},
                    timeout=60,
                    limits=httpx.Limits(max_keepalive_connections=0),  # a kept one may close as the next request leaves
                )
            )
            answer = client.post("/sign-in", data={"name": name, "password": PASSWORD})
            assert answer.headers["location"] == ("/" if name == "ray" else "/review")
            found[name] = Person(client)
        yield found


def add_answer(context: Context, number: int = 1) -> tuple[str, str, int, Labels]:
    """A head CT with an answer: Study and Series Instance UID, analysis, its labels."""
    datasets = tilted_ct(shape=SHAPE, gaps_mm=(5.0,) * (SHAPE[0] - 1), seed=number)
    for each in datasets:
        each.StudyInstanceUID = derive_uid(f"review-study-{number}")
        each.SeriesInstanceUID = derive_uid(f"review-series-{number}")
        each.SOPInstanceUID = derive_uid(f"review-instance-{number}-{each.InstanceNumber}")
        each.file_meta.MediaStorageSOPInstanceUID = each.SOPInstanceUID
    study_uid, series_uid = receive(context, datasets)
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 8 : 14 + number % 5, 8:16] = 1
    analysis = analyse(context, study_uid, series_uid, labels, [Finding("IPH", 0.9, 5.0, Urgency.URGENT, 2)])
    return study_uid, series_uid, analysis, labels


def make(context: Context, people: dict[str, Person], *, readers: int = 1, number: int = 1) -> tuple[int, Labels]:
    """A workitem on an answer, made by hand; and the answer's labels."""
    study_uid, series_uid, _, labels = add_answer(context, number)
    item = people["cy"].does("/workitems", study=key_of(study_uid), task="ich", readers=readers)["id"]
    GRIDS[item] = sources.read_grid(context, series_uid)
    return item, labels


def state_of(people: dict[str, Person], item: int) -> str:
    state: str = people["cy"].get(f"/workitems/{item}")["state"]
    return state


def test_two_blinded_readings_that_agree_are_reviewed_and_accepted(context: Context, people: dict[str, Person]) -> None:
    ana, bo, cy, dee = (people[name] for name in ("ana", "bo", "cy", "dee"))
    item, answer = make(context, people, readers=2)
    assert ana.does(f"/workitems/{item}/take") == {"slot": "A"}
    assert bo.does(f"/workitems/{item}/take") == {"slot": "B"}
    assert dee.post(f"/workitems/{item}/take").status_code == 409

    start = ana.get(f"/workitems/{item}")["start_digest"]
    assert np.array_equal(ana.mask(item, start).labels, answer)
    drawn = answer.copy()
    drawn[2, 8:12, 8] = 0
    mask = Mask(drawn, GRIDS[item])
    assert "Grade the image quality" in ana.save(item, mask, start, submit=True).json()["detail"]
    assert ana.save(item, mask, start).status_code == 201
    assert ana.save(item, mask, mask.digest).status_code == 201
    ana.hand_in(item, drawn)
    assert ana.save(item, mask, mask.digest).status_code == 409  # handed in

    seen = bo.get(f"/workitems/{item}")
    assert [each["name"] for each in seen["masks"]] == ["AI"]
    assert seen["holders"] == {"B": "bo"}
    assert (seen["decisions"], seen["dice_ai"]) == ([], {})
    assert bo.client.get(f"/api/v1/workitems/{item}/masks/{mask.digest}").status_code == 404
    bo.hand_in(item, answer)

    found = cy.get(f"/workitems/{item}")
    assert found["state"] == "annotated"
    [agreed] = found["agreement"]
    assert agreed["label"] == "IPH"
    assert 0.9 < agreed["dice"] < 1
    assert agreed["outside"] == []
    assert ana.post(f"/workitems/{item}/decision", target="accepted").status_code == 409
    assert ana.post(f"/workitems/{item}/decision", target="in_review").status_code == 403
    cy.does(f"/workitems/{item}/decision", target="in_review")
    shown = {each["name"]: each["digest"] for each in cy.get(f"/workitems/{item}")["masks"]}
    assert set(shown) == {"AI", "A", "B", "Majority vote", "Standing"}
    assert np.array_equal(cy.mask(item, shown["Standing"]).labels, answer)  # two of three voted for every voxel
    cy.does(f"/workitems/{item}/decision", target="accepted")

    [label] = cy.get("/review/accepted")
    assert (label["workitem_id"], label["rounds"], label["model"]) == (item, 1, "ich")
    assert [each[:2] for each in label["people"]] == [["A", "ana"], ["B", "bo"]]
    assert label["unchanged"]
    assert [row["id"] for row in ana.get("/workitems", tab="done")] == [item]


def test_readings_that_differ_go_to_the_arbiter_who_sees_all(context: Context, people: dict[str, Person]) -> None:
    ana, bo, cy, dee = (people[name] for name in ("ana", "bo", "cy", "dee"))
    item, answer = make(context, people, readers=2)
    for person, labels in ((ana, answer), (bo, np.roll(answer, 9, axis=2))):
        person.does(f"/workitems/{item}/take")
        person.hand_in(item, labels)
    [row] = cy.get("/workitems", tab="disputed")
    assert "IPH: Dice 0.00 < 0.7" in row["reason"]
    assert [each["reason"] for each in ana.get("/workitems", tab="disputed")] == [None]
    assert cy.post(f"/workitems/{item}/decision", target="arbitrated").status_code == 403

    assert ana.post(f"/workitems/{item}/take").status_code == 409
    assert dee.does(f"/workitems/{item}/take") == {"slot": "arbiter"}
    shown = {each["name"] for each in dee.get(f"/workitems/{item}")["masks"]}
    assert {"AI", "A", "B", "Majority vote"} <= shown
    dee.hand_in(item, answer)
    assert state_of(people, item) == "arbitrated"
    assert dee.post(f"/workitems/{item}/decision", target="accepted").status_code == 403
    cy.does(f"/workitems/{item}/decision", target="accepted")
    assert state_of(people, item) == "accepted"


def test_a_return_needs_a_reason_and_goes_back_to_its_author(context: Context, people: dict[str, Person]) -> None:
    ana, bo, cy = people["ana"], people["bo"], people["cy"]
    item, answer = make(context, people)
    ana.does(f"/workitems/{item}/take")
    first = answer.copy()
    first[1] = 0
    ana.hand_in(item, first)
    cy.does(f"/workitems/{item}/decision", target="in_review")
    assert cy.post(f"/workitems/{item}/decision", target="returned", reason="  ").status_code == 422
    cy.does(f"/workitems/{item}/decision", target="returned", reason="The lowest slice is missing.")
    assert bo.post(f"/workitems/{item}/take").status_code == 409
    [row] = ana.get("/workitems", tab="annotate", mine=True)
    assert (row["reason"], row["round"], row["holders"]["A"]) == ("The lowest slice is missing.", 2, "ana")
    opened = ana.get(f"/workitems/{item}")
    assert np.array_equal(ana.mask(item, opened["start_digest"]).labels, first)
    ana.hand_in(item, answer)
    cy.does(f"/workitems/{item}/decision", target="in_review")
    better = answer.copy()
    better[4, 10:12, 10:12] = 5
    cy.hand_in(item, better)
    cy.does(f"/workitems/{item}/decision", target="accepted")
    [label] = cy.get("/review/accepted", task="ich")
    assert (label["rounds"], set(label["labels"]), label["unchanged"]) == (2, {"IPH", "SAH"}, False)
    cy.does(f"/workitems/{item}/decision", target="in_review", reason="Looked at again.")
    assert cy.get("/review/accepted") == []


def test_every_move_that_the_table_lacks_is_refused_to_everybody(context: Context, people: dict[str, Person]) -> None:
    item, _ = make(context, people)
    roles = {"ana": Role.ANNOTATOR, "cy": Role.REVIEWER, "dee": Role.ARBITER}
    for source in State:
        with context.pool.connection() as connection:
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute("UPDATE workitem SET state = %s WHERE id = %s", [source, item])
        for target in State:
            move = MOVES.get((source, target))
            for name, role in roles.items():
                if move is not None and role in move.roles:
                    continue
                expected = 409 if move is None or not move.roles else 403
                response = people[name].post(f"/workitems/{item}/decision", target=target, reason="Because.")
                assert response.status_code == expected, (source, target, name, response.text)
        assert state_of(people, item) == source
    for path in ("/workitems", f"/workitems/{item}"):
        assert people["ray"].client.get(f"/api/v1{path}").status_code == 403


def test_one_of_two_windows_is_told_and_nothing_is_lost(context: Context, people: dict[str, Person]) -> None:
    ana = people["ana"]
    item, answer = make(context, people)
    ana.does(f"/workitems/{item}/take")
    start = ana.get(f"/workitems/{item}")["start_digest"]
    first, second = answer.copy(), answer.copy()
    first[1], second[3] = 0, 0
    assert ana.save(item, Mask(first, GRIDS[item]), start).status_code == 201
    refused = ana.save(item, Mask(second, GRIDS[item]), start)
    assert refused.status_code == 409
    assert "Another version of this mask was saved" in refused.json()["detail"]
    latest = ana.get(f"/workitems/{item}")["latest"]
    assert latest["mask_digest"] == Mask(first, GRIDS[item]).digest
    assert ana.save(item, Mask(second, GRIDS[item]), latest["mask_digest"]).status_code == 201


def test_of_two_who_save_at_once_one_comes_second_and_is_told(
    context: Context, people: dict[str, Person], pages: ServedPages
) -> None:
    ana = people["ana"]
    item, answer = make(context, people)
    ana.does(f"/workitems/{item}/take")
    start = ana.get(f"/workitems/{item}")["start_digest"]
    masks = []
    for row in range(6):
        drawn = answer.copy()
        drawn[5, row, 0] = 1
        masks.append(Mask(drawn, GRIDS[item]))
    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(lambda mask: ana.save(item, mask, start).status_code, masks))
    assert sorted(statuses) == [201, 409, 409, 409, 409, 409]
    kept = ana.get(f"/workitems/{item}")["latest"]["mask_digest"]
    assert kept == masks[statuses.index(201)].digest


def test_a_session_that_ends_while_drawing_loses_nothing(context: Context, people: dict[str, Person]) -> None:
    ana = people["ana"]
    item, answer = make(context, people)
    ana.does(f"/workitems/{item}/take")
    start = ana.get(f"/workitems/{item}")["start_digest"]
    mask = Mask(np.roll(answer, 1, axis=1), GRIDS[item])
    session = dict(ana.client.cookies)
    ana.client.cookies.clear()
    refused = ana.save(item, mask, start)
    assert (refused.status_code, refused.json()) == (401, {"detail": "Sign in first."})
    ana.client.cookies.update(session)
    assert ana.get(f"/workitems/{item}")["latest"] is None
    assert ana.save(item, mask, start).status_code == 201


def test_masks_that_do_not_fit_are_refused_whole(context: Context, people: dict[str, Person]) -> None:
    ana = people["ana"]
    item, answer = make(context, people)
    ana.does(f"/workitems/{item}/take")
    mask = Mask(answer, GRIDS[item])
    start = ana.get(f"/workitems/{item}")["start_digest"]
    path = f"/api/v1/workitems/{item}/annotations"
    truncated = ana.client.post(path, params={"tool": "t"}, content=encode(mask)[:-20])
    assert (truncated.status_code, "not a stored mask" in truncated.text) == (422, True)
    unknown = answer.copy()
    unknown[0, 0, 0] = 9
    assert "9, which is no label" in ana.save(item, Mask(unknown, GRIDS[item]), start).text
    other = tilted_ct(shape=SHAPE, gaps_mm=(4.0,) * 5)
    _, series_uid = receive(context, other)
    elsewhere = Mask(answer, sources.read_grid(context, series_uid))
    assert "another grid" in ana.save(item, elsewhere, start).text
    assert "is not this workitem's" in ana.save(item, mask, "0" * 64).text
    assert ana.get(f"/workitems/{item}")["latest"] is None
    assert people["bo"].save(item, mask, start).status_code == 409


def test_poor_images_are_excluded_and_keep_why(context: Context, people: dict[str, Person]) -> None:
    ana, cy = people["ana"], people["cy"]
    item, _ = make(context, people)
    assert ana.post(f"/workitems/{item}/quality", value=2).status_code == 403
    ana.does(f"/workitems/{item}/take")
    assert ana.post(f"/workitems/{item}/quality", value=6).status_code == 422
    assert ana.does(f"/workitems/{item}/quality", value=2, motion=True) == {"state": "excluded"}
    [row] = cy.get("/workitems", tab="done")
    assert row["reason"] == "Image quality 2 (Poor), below 3: motion."
    assert cy.get("/review/accepted") == []
    cy.does(f"/workitems/{item}/decision", target="to_annotate", reason="The motion is outside the head.")
    assert state_of(people, item) == "to_annotate"


def test_who_may_hold_what(context: Context, people: dict[str, Person]) -> None:
    ana, cy = people["ana"], people["cy"]
    item, _ = make(context, people, readers=2)
    for name in ("young", "new"):
        add_account(context, name, Role.ANNOTATOR)
    cy.client.put("/api/v1/review/people/young/experience", json={"since": "2023-05-01"})
    assert "needs 5" in cy.post(f"/workitems/{item}/assign", slot="A", to="young").text
    assert "not recorded" in cy.post(f"/workitems/{item}/assign", slot="A", to="new").text
    cy.client.put("/api/v1/review/people/new/experience", json={"since": "2013-05-01"})
    assert "not admitted" in cy.post(f"/workitems/{item}/assign", slot="A", to="new").text
    assert cy.client.put("/api/v1/review/people/cy/experience", json={"since": "1990-01-01"}).status_code == 403
    cy.does("/review/tasks/ich/admissions", account="new", passed=True, reason="Trained elsewhere.")
    cy.does(f"/workitems/{item}/assign", slot="A", to="new")
    assert cy.post(f"/workitems/{item}/assign", slot="B", to="new").status_code == 409
    assert ana.post(f"/workitems/{item}/assign", slot="B", to="bo").status_code == 403
    ana.does(f"/workitems/{item}/take")
    ana.does(f"/workitems/{item}/give-back")
    ana.does(f"/workitems/{item}/take")
    load = {each["name"]: each for each in cy.get("/review/workload")}
    assert load["ana"]["open_by_slot"] == {"B": 1}
    assert (load["new"]["years"] or 0) >= 10


def test_a_course_admits_who_draws_like_the_reference(context: Context, people: dict[str, Person]) -> None:
    ana, bo, cy = people["ana"], people["bo"], people["cy"]
    references = {}
    for number in (1, 2, 3, 4):
        study_uid, series_uid, _, labels = add_answer(context, number)
        mask = Mask(labels, sources.read_grid(context, series_uid))
        references[key_of(series_uid)] = mask
        with context.pool.connection() as connection:
            courses.add_reference(
                connection,
                task="ich",
                purpose=Purpose.TRAINING if number == 4 else Purpose.TEST,
                study_uid=study_uid,
                series_uid=series_uid,
                mask_digest=sources.put_mask(context.store, mask),
                added_by="cy",
            )
            courses.admit(connection, "ana", "ich", passed=False, decided_by="cy", reason="From the start.")
            courses.admit(connection, "bo", "ich", passed=False, decided_by="cy", reason="From the start.")

    def draw(person: Person, items: list[int], shift: int) -> None:
        for item in items:
            opened = person.get(f"/workitems/{item}")
            assert (opened["start_digest"], opened["masks"]) == (None, [])
            reference = references[opened["series"]]
            labels = np.roll(reference.labels, shift, axis=2)
            assert person.save(item, Mask(labels, reference.grid), None, submit=True).status_code == 201

    for person, shift in ((ana, 0), (bo, 9)):
        training = person.does("/review/tasks/ich/course")["workitems"]
        assert len(training) == 1
        assert person.post("/review/tasks/ich/course").status_code == 409
        draw(person, training, shift)
        assert {each["name"] for each in person.get(f"/workitems/{training[0]}")["masks"]} == {"Yours", "Reference"}
        test = person.does("/review/tasks/ich/course")["workitems"]
        assert len(test) == 3
        assert (bo if person is ana else ana).client.get(f"/api/v1/workitems/{test[0]}").status_code == 404
        draw(person, test, shift)
        assert "Reference" not in {each["name"] for each in person.get(f"/workitems/{test[0]}")["masks"]}
    passed, failed = (person.get("/review/tasks/ich/course")["admission"] for person in (ana, bo))
    assert (passed["passed"], passed["dice"], passed["icc"], passed["cases"]) == (True, 1.0, 1.0, 3)
    assert (failed["passed"], failed["dice"]) == (False, 0.0)
    assert bo.get("/review/tasks/ich/course")["why_not_next"] is None  # may try again
    assert cy.get("/workitems", tab="review") == []


def test_answers_become_workitems_by_rule_once(context: Context, people: dict[str, Person]) -> None:
    study_uid, series_uid, analysis, _ = add_answer(context)
    for _ in range(2):
        selection.run(context, analysis)
    [row] = people["cy"].get("/workitems")
    assert (row["cause"], row["cause_detail"], row["priority"]) == ("flag", "IPH 5.0 mL.", 2)
    assert row["due_at"] is not None
    again = people["cy"].post("/workitems", study=key_of(study_uid), task="ich")
    assert (again.status_code, f"number {row['id']}" in again.text) == (409, True)

    other_study, _, other, _ = add_answer(context, 2)
    with context.pool.connection() as connection:
        connection.execute("DELETE FROM finding WHERE analysis_id = %s", [other])
        say(connection, other_study, other, "ray", Verdict.DISAGREE, Reason.MISSED)
    assert drain(context, {"select": selection.STAGE}) == [("select", other)]
    causes = {each["id"]: (each["cause"], each["cause_detail"]) for each in people["cy"].get("/workitems")}
    assert causes[max(causes)] == ("disagreement", "Missed finding.")

    with context.pool.connection() as connection:
        connection.execute("UPDATE analysis SET state = 'superseded' WHERE id = %s", [analysis])
    newer = analyse(
        context, study_uid, series_uid, blobs(SHAPE, (1,)), [Finding("IPH", 0.9, 7.0, Urgency.URGENT, 2)],
        model_version="0.2.0",
    )  # fmt: skip
    selection.run(context, newer)
    with context.pool.connection() as connection:
        item = workitems.read(connection, row["id"])
    assert item is not None
    assert item.analysis_id == newer
    assert len(people["cy"].get("/workitems")) == 2


def test_every_address_needs_a_sign_in(pages: ServedPages) -> None:
    addresses = {
        re.sub(r"{[^}]+}", "1", route.path)
        for router in EXTENSION.routers
        for route in router.routes
        if isinstance(route, APIRoute)
    }
    assert len(addresses) > 40
    with httpx.Client(base_url=pages.url, limits=httpx.Limits(max_keepalive_connections=0)) as nobody:
        for address in addresses:
            assert nobody.get(address).status_code in (303, 401), address
            assert nobody.post(address, headers={"origin": pages.url}).status_code == 401, address


def test_the_pages_show_each_their_own(context: Context, people: dict[str, Person]) -> None:
    ana, cy = people["ana"], people["cy"]
    item, _ = make(context, people, readers=2)
    ana.client.post(f"/review/{item}/take")
    ana.client.post(f"/review/{item}/quality", data={"value": "4", "note": "fine"})
    ana.client.post(f"/review/{item}/comments", data={"text": "Unsure here.", "doubtful": "true"})
    page = ana.client.get(f"/review/{item}").text
    assert "Open the editor" in page
    assert "Unsure here." in page
    assert "Unsure here." not in people["bo"].client.get(f"/review/{item}").text
    assert f'href="/review/{item}"' in ana.client.get("/review").text
    for path in ("/review?tab=done", "/review/tasks/ich", "/review/tasks/ais-mri"):
        assert ana.client.get(path).status_code == 200, path
    assert ana.client.get("/review/workload").status_code == 403
    study = cy.get(f"/workitems/{item}")["study"]
    for path in ("/review", "/review/workload", "/review/tasks/ich", f"/review/new?study={study}", f"/review/{item}"):
        assert cy.client.get(path).status_code == 200, path
    assert cy.client.get("/review/99999").status_code == 404
    assert people["ray"].client.get("/review").status_code == 403
    with context.pool.connection() as connection:
        actions = {row["action"] for row in connection.execute("SELECT action FROM audit WHERE account = 'ana'")}
    assert {"review queue", "workitem", "workitem taken", "image quality", "comment"} <= actions


def test_a_correction_from_elsewhere_is_the_first_reading(context: Context, people: dict[str, Person]) -> None:
    _, series_uid, analysis, answer = add_answer(context)
    mask = Mask(answer, sources.read_grid(context, series_uid))
    item = workitem_of(context, analysis)
    assert item is not None
    for _ in range(2):
        arrived(context, item, mask, author="Dr Away", tool="C-STORE from 3D Slicer")
    assert workitem_of(context, analysis) == item
    [row] = people["cy"].get("/workitems", tab="review")
    assert (row["cause"], row["holders"], row["unchanged"]) == ("arrival", {"A": "Dr Away"}, True)
    other = answer.copy()
    other[2] = 0
    with pytest.raises(Conflict, match="is annotated"):
        arrived(context, item, Mask(other, mask.grid), author="Dr Late", tool="C-STORE")
    assert workitem_of(context, analysis + 1) is None
