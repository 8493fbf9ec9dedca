"""What the viewer is served: the voxels models read, the labels they drew, to those who may, and written down."""

import gzip
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from support.ct import blobs, tilted_ct
from support.heads import head_instances, small_head
from support.images import analyse, receive
from support.triage import PASSWORD, ServedPages, add_account, add_study, served

from models.dicom import read_series
from models.errors import InvalidVolume
from models.prediction import Finding, Urgency
from services.context import Context
from services.ledger.accounts import Role
from services.ledger.images import SeriesContent, read_content
from services.triage.images import Images, Shelf, read_images, read_slice

SHAPE = (10, 64, 64)


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    add_account(context, "ana")
    add_account(context, "eve", Role.ANNOTATOR)
    with served(context) as running:
        yield running


@pytest.fixture
def ana(pages: ServedPages) -> Iterator[httpx.Client]:
    with _client(pages, "ana") as client:
        yield client


@contextmanager
def _client(pages: ServedPages, name: str) -> Iterator[httpx.Client]:
    """Somebody who is signed in, at a page's script."""
    headers = {"origin": pages.url, "x-nightjar-live": "1"}
    with httpx.Client(base_url=pages.url, headers=headers, timeout=20) as client:
        client.post("/sign-in", data={"name": name, "password": PASSWORD})
        yield client


def key_of(uid: str) -> str:
    return md5(uid.encode(), usedforsecurity=False).hexdigest()


def test_voxels_and_labels_are_those_of_the_model(context: Context, ana: httpx.Client, pages: ServedPages) -> None:
    datasets = tilted_ct(shape=SHAPE)
    volume = read_series(datasets)
    study_uid, series_uid = receive(context, [datasets[k] for k in (3, 0, 9, 1, 2, 8, 4, 7, 6, 5)])
    labels = blobs(SHAPE, (1, 3))
    analysis_id = analyse(context, study_uid, series_uid, labels, [Finding("IPH", 0.9, 5.0, Urgency.URGENT, 2)])
    address = f"/studies/{key_of(study_uid)}/series/{key_of(series_uid)}"

    geometry = ana.get(f"{address}/geometry").json()
    assert np.allclose(geometry["positions_mm"], volume.positions_mm)
    assert (geometry["slope"], geometry["intercept"], geometry["window"]) == (1, 0, [80, 40])
    voxels = np.frombuffer(ana.get(f"{address}/voxels").content, "<i2").reshape(SHAPE)
    assert np.array_equal(voxels, np.rint(volume.voxels))
    with ana.stream("GET", f"{address}/labels/{analysis_id}") as response:
        slices = json.loads(response.headers["x-nightjar-slices"])
        planes = np.frombuffer(gzip.decompress(b"".join(response.iter_raw())), np.uint8)
    shown = np.zeros(SHAPE, np.uint8)
    shown[slices] = planes.reshape(len(slices), *SHAPE[1:])
    assert np.array_equal(shown, labels)
    picture = ana.get(f"{address}/slices/2")
    assert (picture.headers["content-type"], picture.content[:4]) == ("image/png", b"\x89PNG")

    with _client(pages, "eve") as eve, httpx.Client(base_url=pages.url) as nobody:
        for path in ("geometry", "voxels", "slices/2", f"labels/{analysis_id}"):
            assert eve.get(f"{address}/{path}").status_code == 403
            assert nobody.get(f"{address}/{path}").status_code in (303, 401)
        assert eve.post(f"/studies/{key_of(study_uid)}/opinion", data={"verdict": "agree"}).status_code == 403
    with context.pool.connection() as connection:
        audited = connection.execute(
            "SELECT account, action FROM audit WHERE study_uid = %s ORDER BY id", [study_uid]
        ).fetchall()
        other = add_study(connection, 77)
    assert [(row["account"], row["action"]) for row in audited] == [
        ("ana", "geometry"),
        ("ana", "images"),
        ("ana", "labels"),
        ("ana", "image"),
    ]
    assert ana.get(f"/studies/{key_of(other)}/series/{key_of(series_uid)}/voxels").status_code == 404
    for wrong in (f"{address}/slices/10", f"{address}/slices/-1", f"{address}/labels/{analysis_id + 1}"):
        assert ana.get(wrong).status_code == 404


def test_labels_that_no_longer_fit_are_refused(context: Context, ana: httpx.Client) -> None:
    datasets = tilted_ct(shape=SHAPE)
    study_uid, series_uid = receive(context, datasets[:9])
    wrong = analyse(context, study_uid, series_uid, blobs(SHAPE, (1,)), [])
    address = f"/studies/{key_of(study_uid)}/series/{key_of(series_uid)}"
    answer = ana.get(f"{address}/labels/{wrong}")
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "Outlines are not shown: they do not fit these images.",
    )
    receive(context, datasets[9:])
    answer = ana.get(f"{address}/labels/{wrong}")
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "Outlines are not shown: images arrived after this answer.",
    )
    assert ana.get(f"{address}/geometry").json()["slices"] == 10


def test_an_opinion_needs_a_current_answer_and_its_reason(context: Context, ana: httpx.Client) -> None:
    study_uid, series_uid = receive(context, head_instances(small_head()))
    address = f"/studies/{key_of(study_uid)}/opinion"
    assert ana.post(address, data={"verdict": "agree"}).status_code == 409
    finding = Finding("IPH", 0.9, 5.0, Urgency.URGENT, 2)
    analysis_id = analyse(context, study_uid, series_uid, np.zeros((14, 128, 128), np.uint8), [finding])
    for form in ({"verdict": "disagree"}, {"verdict": "agree", "reason": "known"}, {"verdict": "perhaps"}):
        assert ana.post(address, data=form).status_code in (404, 422)
    assert ana.post(address, data={"verdict": "disagree", "reason": "known"}).status_code == 204
    assert ana.post(address, data={"verdict": "agree", "analysis": str(analysis_id + 1)}).status_code == 409
    assert ana.post(address, data={"verdict": "agree"}, headers={"origin": "http://elsewhere"}).status_code == 403
    page = ana.get(f"/studies/{key_of(study_uid)}").text
    assert "disagreed with by ana" in page
    assert "Known finding." in page


def test_one_slice_is_read_alone_only_where_its_place_is_certain(context: Context) -> None:
    datasets = tilted_ct(shape=SHAPE, flipped=True)
    content = _content(context, datasets)
    whole = read_images(context.store, content)
    for index in (0, 4, 9):
        alone = read_slice(context.store, content, index)
        assert alone is not None
        assert alone.picture(0) == whole.picture(index)
    assert read_slice(context.store, content, 10) is None
    magnetic = SeriesContent(content.study_uid, content.series_uid, "MR", content.instances, content.digest)
    assert read_slice(context.store, magnetic, 0) is None  # one place may hold several images


def test_a_series_too_large_is_refused_before_it_is_read(context: Context) -> None:
    content = _content(context, tilted_ct(shape=SHAPE))
    voxel_bytes = 2 * math.prod(SHAPE)
    read_images(context.store, content, largest_bytes=voxel_bytes)
    with pytest.raises(InvalidVolume, match="10 instances and 0 MiB of voxels, too many"):
        read_images(context.store, content, largest_bytes=voxel_bytes - 1)


def test_values_beyond_16_bits_keep_their_meaning(context: Context) -> None:
    datasets = tilted_ct(shape=SHAPE)
    for dataset in datasets:
        dataset.Modality, dataset.RescaleSlope = "MR", "0.00061"
    content = _content(context, datasets)
    images = read_images(context.store, content)
    values = images.voxels.astype(float) * images.slope + images.intercept
    truth = read_series(datasets).voxels
    assert np.abs(values - truth).max() < (truth.max() - truth.min()) / 60000
    width, level = images.window
    assert truth.min() < level - width / 2 < level + width / 2 < truth.max()


def test_the_shelf_reads_once_and_keeps_within_its_limit(context: Context) -> None:
    images = read_images(context.store, _content(context, tilted_ct(shape=SHAPE)))
    read: list[str] = []

    def reader(name: str) -> Images:
        read.append(name)
        return images

    shelf = Shelf(limit_bytes=2 * images.voxels.nbytes)
    for name in ("a", "b", "a", "c", "a", "b"):
        shelf.get(name, lambda name=name: reader(name))  # type: ignore[misc]
    assert read == ["a", "b", "c", "b"]


def _content(context: Context, datasets: list[Dataset]) -> SeriesContent:
    study_uid, series_uid = receive(context, datasets)
    with context.pool.connection() as connection:
        content = read_content(connection, key_of(study_uid), key_of(series_uid))
    assert content is not None
    return content


def test_an_enhanced_series_is_shown_in_the_window_of_the_acquired_one(context: Context, pages: ServedPages) -> None:
    datasets = tilted_ct(shape=SHAPE)
    study_uid, series_uid = receive(context, datasets[:9])
    acquired = read_series(datasets[:9]).voxels
    analysis_id = analyse(context, study_uid, series_uid, blobs(SHAPE, (1,))[:9] * 0, [], image=acquired + 20)
    address = f"/studies/{key_of(study_uid)}/enhanced/{analysis_id}"
    with _client(pages, "ana") as ana, _client(pages, "eve") as eve:
        page = ana.get(address)
        assert page.status_code == 200
        assert "What is seen in it alone is not to be trusted." in page.text
        shown = [ana.get(f"{address}/slices/4/{side}") for side in ("acquired", "enhanced")]
        before, after = (np.asarray(Image.open(BytesIO(answer.content)), int) for answer in shown)
        # The brain window, 80 HU wide: 20 HU are a quarter of its greys.
        inside = (before > 0) & (after < 255)
        assert inside.any()
        assert np.abs((after - before)[inside] - 255 / 4).max() <= 1
        assert eve.get(f"{address}/slices/4/enhanced").status_code == 403
        for wrong in (f"{address}/slices/9/enhanced", f"{address}/slices/4/other", f"{address}0"):
            assert ana.get(wrong).status_code == 404
        receive(context, datasets[9:])
        late = ana.get(address)
        assert (late.status_code, late.json()["detail"]) == (
            409,
            "Images arrived after this series was enhanced. Look at the new answer.",
        )
    with context.pool.connection() as connection:
        audited = connection.execute("SELECT DISTINCT account, action FROM audit WHERE study_uid = %s", [study_uid])
        assert {(row["account"], row["action"]) for row in audited} == {("ana", "view"), ("ana", "image")}
