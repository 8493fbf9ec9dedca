"""A reader study from its making to its results: blinded, in everybody's own order, never changed afterwards."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import md5

import httpx
import psycopg
import pytest
from support.ct import tilted_ct
from support.images import receive
from support.triage import PASSWORD, ServedPages, add_account, served

from services.context import Context
from services.ledger.accounts import Role
from services.results.uids import derive_uid
from services.review.extension import EXTENSION
from services.review.reader_study import QUESTIONS, find_view

SHAPE = (4, 16, 16)
PEOPLE = {"ana": Role.RADIOLOGIST, "bo": Role.ANNOTATOR, "cy": Role.REVIEWER, "dee": Role.ARBITER}
API = "/api/v1/reader-studies"


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    for name, role in PEOPLE.items():
        add_account(context, name, role)
    with served(context, (EXTENSION,)) as running:
        yield running


@pytest.fixture
def people(pages: ServedPages) -> Iterator[dict[str, httpx.Client]]:
    with ExitStack() as stack:
        clients = {}
        for name in PEOPLE:
            client = stack.enter_context(
                httpx.Client(
                    base_url=pages.url,
                    headers={"origin": pages.url},
                    timeout=60,
                    limits=httpx.Limits(max_keepalive_connections=0),
                )
            )
            client.post("/sign-in", data={"name": name, "password": PASSWORD})
            clients[name] = client
        yield clients


def key_of(uid: str) -> str:
    return md5(uid.encode(), usedforsecurity=False).hexdigest()


def add_case(context: Context, number: int) -> tuple[str, list[str]]:
    """A study of two series: its key and theirs."""
    series = []
    for arm in (1, 2):
        datasets = tilted_ct(shape=SHAPE, gaps_mm=(5.0,) * 3, seed=10 * number + arm)
        for each in datasets:
            each.StudyInstanceUID = derive_uid(f"case-{number}")
            each.SeriesInstanceUID = derive_uid(f"case-{number}-{arm}")
            each.SOPInstanceUID = derive_uid(f"case-{number}-{arm}-{each.InstanceNumber}")
            each.file_meta.MediaStorageSOPInstanceUID = each.SOPInstanceUID
            each.SeriesDescription = f"SECRET ARM {arm}"
        study_uid, series_uid = receive(context, datasets)
        series.append(key_of(series_uid))
    return key_of(study_uid), series


def rate_all(client: httpx.Client, score: int) -> int:
    """Rate image by image on the pages until none is left; how many."""
    count = 0
    while True:
        page = client.get("/review/reader-studies/1/rate").text
        assert "SECRET" not in page
        assert "enhanced" not in page
        view = re.search(r'data-base="(/api/v1/reader-studies/1/views/(\w+)/images/0/slices/)"', page)
        if view is None:
            return count
        picture = client.get(f"{view[1]}2")
        brighter = client.get(f"{view[1]}2", params={"contrast": "1.2", "brightness": "0.3"})
        assert (picture.status_code, picture.content[:4]) == (200, b"\x89PNG")
        assert brighter.content != picture.content
        answers = {f"q{number}": str(score) for number in range(len(QUESTIONS))}
        assert client.post(f"/review/reader-studies/1/views/{view[2]}", data=answers).status_code == 303
        assert client.post(f"/review/reader-studies/1/views/{view[2]}", data=answers).status_code == 409
        count += 1


def test_single_images_on_the_pages_from_start_to_results(context: Context, people: dict[str, httpx.Client]) -> None:
    ana, bo, cy = people["ana"], people["bo"], people["cy"]
    form = {"name": "Short protocol", "arms": "acquired, enhanced", "margin": "0.5"}
    assert ana.post("/review/reader-studies", data=form).status_code == 403
    assert cy.post("/review/reader-studies", data=form | {"arms": "one"}).status_code == 422
    assert cy.post("/review/reader-studies", data=form).status_code == 303
    assert cy.post("/review/reader-studies", data=form).status_code == 409
    for number in range(3):
        study, series = add_case(context, number)
        assert "SECRET ARM 1" in cy.get(f"/review/reader-studies/add?study={study}").text
        added = {"study": study, "arm": ["acquired", "enhanced"], "series": series}
        assert cy.post("/review/reader-studies/1/cases", data=added).status_code == 303
        assert cy.post("/review/reader-studies/1/cases", data=added).status_code == 409

    assert cy.get("/review/reader-studies/1/results").status_code == 409
    bad = dict.fromkeys((f"q{number}" for number in range(5)), "8")
    turn = bo.get(f"{API}/1/next")
    assert turn.status_code == 200, turn.text
    own = turn.json()["view"]
    assert bo.post(f"/review/reader-studies/1/views/{own}", data=bad).status_code == 422
    assert ana.post(f"/review/reader-studies/1/views/{own}", data=bad).status_code == 404
    assert ana.get(f"{API}/1/views/{own}/images/0/slices/1").status_code == 404
    assert (rate_all(ana, 5), rate_all(bo, 6)) == (6, 6)
    assert ana.post("/review/reader-studies/1/close").status_code == 403
    assert cy.post("/review/reader-studies/1/close").status_code == 303
    assert bo.get("/review/reader-studies/1/rate").status_code == 409
    results = cy.get("/review/reader-studies/1/results").text
    assert "2 readers, 3 cases, 12 ratings" in results
    assert "5.50" in results
    assert "Diagnostic quality" in results
    assert bo.get("/review/reader-studies/1/results").status_code == 403
    rows = list(csv.DictReader(io.StringIO(cy.get("/review/reader-studies/1/ratings.csv").text)))
    assert len(rows) == 12 * len(QUESTIONS)
    assert {row["case"] for row in rows} == {"1", "2", "3"}
    with context.pool.connection() as connection, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        connection.execute("UPDATE reader_study_rating SET scores = '{}'")


def test_pairs_through_the_api(context: Context, people: dict[str, httpx.Client]) -> None:
    """Three readers prefer the image of the second arm, wherever it is, by two points."""
    cy = people["cy"]
    body = {"name": "Pairs", "arms": ["acquired", "enhanced"], "margin": 0.5, "design": "pairs"}
    assert people["ana"].post(API, json=body).status_code == 403
    made = cy.post(API, json=body).json()["id"]
    for number in range(4):
        study, series = add_case(context, number)
        case = {"study": study, "series": dict(zip(("acquired", "enhanced"), series, strict=True))}
        wrong = {"study": study, "series": {"acquired": series[0], "raw": series[1]}}
        assert "no arm raw" in cy.post(f"{API}/{made}/cases", json=wrong).json()["detail"]
        assert cy.post(f"{API}/{made}/cases", json=case).status_code == 204  # nothing of the refused one stayed
    assert "seed" not in cy.get(API).json()[0]

    with context.pool.connection() as connection:
        arms = {
            row["series_uid"]: row["arm"]
            for row in connection.execute("SELECT series_uid, arm FROM reader_study_image").fetchall()
        }
    assert sorted(arms.values()) == ["acquired"] * 4 + ["enhanced"] * 4
    sides = set()
    for name in ("ana", "bo", "dee"):
        client = people[name]
        while (turn := client.get(f"{API}/{made}/next").json())["view"] is not None:
            assert (turn["slices"], turn["total"], turn["points"]) == ([4, 4], 4, [-3, -2, -1, 0, 1, 2, 3])
            address = f"{API}/{made}/views/{turn['view']}"
            assert client.get(f"{address}/images/1/slices/0").content[:4] == b"\x89PNG"
            assert client.get(f"{address}/images/2/slices/0").status_code == 404
            with context.pool.connection() as connection:
                view = find_view(connection, made, name, turn["view"])  # what the reader cannot see
            is_right = view.images[1].arm == "enhanced"
            sides.add(is_right)
            scores = dict.fromkeys(QUESTIONS, 2 if is_right else -2)
            assert client.post(address, json={"scores": scores | {"noise": 4}}).status_code == 422
            assert client.post(address, json={"scores": scores}).status_code == 204
            assert client.post(address, json={"scores": scores}).status_code == 409
    assert sides == {True, False}
    assert cy.get(f"{API}/{made}/results").status_code == 409
    assert cy.post(f"{API}/{made}/close").status_code == 204
    results = cy.get(f"{API}/{made}/results").json()
    assert (results["readers"], results["cases"], results["ratings"]) == (3, 4, 12)
    [noise] = [each for each in results["comparisons"] if each["question"] == "noise"]
    assert (noise["difference"]["value"], noise["superior"], noise["reference"]) == (2.0, True, None)
    [spread] = [each for each in results["distributions"] if each["question"] == "noise"]
    assert spread["counts"] == [0, 0, 0, 0, 0, 12, 0]
    page = cy.get(f"/review/reader-studies/{made}/results").text
    assert "Pairs, side by side" in page
    assert "+2.00" in page
