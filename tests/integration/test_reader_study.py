"""A reader study from its making to its results: blinded, in everybody's own order, never changed afterwards."""

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
from services.review.reader_study import QUESTIONS

SHAPE = (4, 16, 16)
PEOPLE = {"ana": Role.RADIOLOGIST, "bo": Role.ANNOTATOR, "cy": Role.REVIEWER}


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
    """Rate image by image until none is left; how many."""
    count = 0
    while True:
        page = client.get("/review/reader-studies/1/rate").text
        assert "SECRET" not in page
        assert "enhanced" not in page
        place = re.search(r'data-base="/review/reader-studies/1/images/(\d+)/slices/"', page)
        if place is None:
            return count
        picture = client.get(f"/review/reader-studies/1/images/{place[1]}/slices/2")
        assert (picture.status_code, picture.content[:4]) == (200, b"\x89PNG")
        answers = {f"q{number}": str(score) for number in range(len(QUESTIONS))}
        assert client.post(f"/review/reader-studies/1/images/{place[1]}", data=answers).status_code == 303
        count += 1


def test_a_reader_study_from_start_to_results(context: Context, people: dict[str, httpx.Client]) -> None:
    ana, bo, cy = people["ana"], people["bo"], people["cy"]
    form = {"name": "Short protocol", "arms": "acquired, enhanced", "margin": "0.5"}
    assert ana.post("/review/reader-studies", data=form).status_code == 403
    assert cy.post("/review/reader-studies", data=form | {"arms": "one"}).status_code == 422
    assert cy.post("/review/reader-studies", data=form).status_code == 303
    assert cy.post("/review/reader-studies", data=form).status_code == 409
    for number in range(3):
        study, series = add_case(context, number)
        assert "SECRET ARM 1" in cy.get(f"/review/reader-studies/add?study={study}").text
        for arm, key in zip(("acquired", "enhanced"), series, strict=True):
            added = {"study": study, "series": key, "arm": arm}
            assert cy.post("/review/reader-studies/1/images", data=added).status_code == 303
            assert cy.post("/review/reader-studies/1/images", data=added).status_code == 409

    assert cy.get("/review/reader-studies/1/results").status_code == 409
    bad = dict.fromkeys((f"q{number}" for number in range(5)), "8")
    assert bo.post("/review/reader-studies/1/images/0", data=bad).status_code == 404
    assert (rate_all(ana, 5), rate_all(bo, 6)) == (6, 6)
    again = {f"q{number}": "1" for number in range(5)}
    assert ana.post("/review/reader-studies/1/images/0", data=again).status_code == 409
    assert ana.post("/review/reader-studies/1/close").status_code == 403
    assert cy.post("/review/reader-studies/1/close").status_code == 303
    assert bo.get("/review/reader-studies/1/rate").status_code == 409
    results = cy.get("/review/reader-studies/1/results").text
    assert "2 readers, 3 cases, 12 ratings" in results
    assert "5.50" in results
    assert "Diagnostic quality" in results
    assert bo.get("/review/reader-studies/1/results").status_code == 403
    with context.pool.connection() as connection, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        connection.execute("UPDATE reader_study_rating SET scores = '{}'")
