"""DICOMweb by the client that others use: what comes back is what was kept, and what is stored is in custody."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from requests import HTTPError
from support.ct import as_bytes, blobs, tilted_ct
from support.dicomweb import DICOMwebClient, answered, client_of
from support.instances import ct, data_set_of, write
from support.orthanc import Orthanc, orthanc, orthanc_server  # noqa: F401
from support.triage import PASSWORD, ServedPages, add_account, served

from services.context import Context
from services.dicomweb import store
from services.dicomweb.extension import EXTENSION
from services.dicomweb.multipart import content_type, write_parts
from services.ledger.accounts import Role
from services.triage.sessions import FAILURES_ALLOWED

SHAPE = (10, 64, 64)
ANY = (("application/dicom", "*"),)


@pytest.fixture
def context(context: Context) -> Context:
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    return replace(context, settings=context.settings.model_copy(update={"router": router}))


@pytest.fixture
def pages(context: Context) -> Iterator[ServedPages]:
    add_account(context, "ana")
    add_account(context, "pacs", Role.SYSTEM)
    add_account(context, "eve", Role.ANNOTATOR)
    with served(context, [EXTENSION]) as running:
        yield running


@pytest.fixture
def client(pages: ServedPages) -> DICOMwebClient:
    return client_of(pages.url, "pacs")


def rows(context: Context, query: str, *values: object) -> list[dict[str, Any]]:
    with context.pool.connection() as connection:
        return connection.execute(query.encode(), values).fetchall()


def by_keyword(found: list[dict[str, Any]]) -> list[Dataset]:
    return [read_json(each) for each in found]


def read_json(found: dict[str, Any]) -> Dataset:
    return Dataset.from_json(found, bulk_data_uri_handler=lambda *_: b"")


def test_a_study_is_found_with_what_was_received_and_what_was_written(context: Context, client: DICOMwebClient) -> None:
    datasets = tilted_ct()
    study_uid = answered(context, datasets, blobs(SHAPE, [1, 3]), {"IPH": 1, "SDH": 3})

    [study] = by_keyword(client.search_for_studies())
    assert (study.StudyInstanceUID, study.PatientID, study.PatientName) == (study_uid, "NJ-TEST-1", "Demo^Tilted")
    assert list(study.ModalitiesInStudy) == ["CT", "SEG", "SR"]
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (3, 12)
    series = {each.Modality: each for each in by_keyword(client.search_for_series(study_uid))}
    assert {name: int(each.NumberOfSeriesRelatedInstances) for name, each in series.items()} == {
        "CT": 10,
        "SEG": 1,
        "SR": 1,
    }
    assert "Not for diagnosis" in series["SEG"].SeriesDescription
    instances = by_keyword(client.search_for_instances(study_uid, datasets[0].SeriesInstanceUID))
    assert [each.InstanceNumber for each in instances] == list(range(1, 11))
    assert (instances[0].Rows, instances[0].SOPClassUID) == (64, datasets[0].SOPClassUID)

    def found(**filters: str) -> int:
        return len(client.search_for_studies(search_filters=filters))

    assert found(PatientName="demo*", StudyDate="20260101-20260103", ModalitiesInStudy="SEG") == 1
    assert found(PatientName="Tilted^Demo") + found(StudyDate="20250101") + found(ModalitiesInStudy="US") == 0
    assert found(StudyInstanceUID=f"1.2.3,{study_uid}", StudyTime="0304", AccessionNumber="A?") == 1
    assert len(client.search_for_series(search_filters={"Modality": "SR"})) == 1
    assert len(client.search_for_instances(search_filters={"InstanceNumber": "4"})) == 1
    page = by_keyword(client.search_for_instances(study_uid, limit=3, offset=2))
    assert [each.InstanceNumber for each in page] == [3, 4, 5]
    [more] = by_keyword(client.search_for_series(study_uid, fields=["PatientPosition", "KVP"], limit=1))
    assert more.KVP == 120
    assert client.search_for_studies(search_filters={"PatientID": "NOBODY"}) == []


def test_a_search_says_what_it_left_out(context: Context, pages: ServedPages, client: DICOMwebClient) -> None:
    answered(context, tilted_ct(), blobs(SHAPE, [1]), {"IPH": 1})
    with httpx.Client(base_url=f"{pages.url}/dicom-web", auth=("pacs", PASSWORD)) as http:
        answer = http.get("/studies", params={"fuzzymatching": "true", "PatientName": "demo", "Modality": "CT"})
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["warning"].count("299 nightjar") == 2
        assert (
            http.get("/studies", params={"limit": "many"}).json()["detail"] == "limit is a whole number, zero or more."
        )
        assert http.get("/studies", headers={"accept": "application/dicom+xml"}).status_code == 406


def test_every_byte_comes_back(context: Context, client: DICOMwebClient) -> None:
    datasets = tilted_ct()
    study_uid = answered(context, datasets, blobs(SHAPE, [1]), {"IPH": 1})
    sent = {dataset.SOPInstanceUID: dataset for dataset in datasets}
    held = {each.SOPInstanceUID: each for each in client.iter_study(study_uid, media_types=ANY)}
    assert set(sent) < set(held)
    assert len(held) == len(sent) + 2
    for uid, dataset in sent.items():
        assert held[uid].PixelData == dataset.PixelData
        assert held[uid].ImagePositionPatient == dataset.ImagePositionPatient
    first = datasets[0]
    address = (study_uid, first.SeriesInstanceUID, first.SOPInstanceUID)
    [frame] = client.retrieve_instance_frames(*address, [1], media_types=("application/octet-stream",))
    assert frame == first.PixelData
    metadata = by_keyword(client.retrieve_series_metadata(*address[:2]))
    assert [each.SOPInstanceUID for each in metadata] == [dataset.SOPInstanceUID for dataset in datasets]
    assert metadata[0].PatientName == first.PatientName
    assert metadata[0].ImageOrientationPatient == first.ImageOrientationPatient
    raw = client.retrieve_instance_metadata(*address)
    # The client names the host without its port, from which addresses in answers are made.
    path = raw["7FE00010"]["BulkDataURI"].partition("/dicom-web")[2]
    assert client.retrieve_bulkdata(client.base_url + path) == [first.PixelData]
    with pytest.raises(HTTPError, match="404"):
        client.retrieve_instance_frames(*address, [2])
    with pytest.raises(HTTPError, match="404"):
        client.retrieve_instance("1.2", "1.3", "1.4")


def test_frames_of_single_bits_begin_at_a_byte(context: Context, client: DICOMwebClient) -> None:
    shape = (10, 13, 9)
    labels = np.random.default_rng(3).integers(0, 2, shape).astype(np.uint8)
    study_uid = answered(context, tilted_ct(shape=shape), labels, {"IPH": 1})
    [segmentation] = client.search_for_instances(study_uid, search_filters={"Modality": "SEG"})
    header = read_json(segmentation)
    address = (study_uid, header.SeriesInstanceUID, header.SOPInstanceUID)
    whole = client.retrieve_instance(*address, media_types=ANY)
    numbers = [3, 1, 10]
    frames = client.retrieve_instance_frames(*address, numbers, media_types=("application/octet-stream",))
    for number, frame in zip(numbers, frames, strict=True):
        bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")[: 13 * 9]
        assert np.array_equal(bits.reshape(13, 9), whole.pixel_array[number - 1])


@pytest.mark.parametrize(
    ("command", "media_type"),
    [
        (["dcmconv", "+ti"], None),
        (["dcmconv", "+td"], None),
        (["dcmcrle"], "image/dicom-rle"),
        (["dcmcjpeg", "+e1"], "image/jpeg"),
        (["dcmcjpls"], "image/jls"),
    ],
)
def test_what_dcmtk_wrote_is_given_as_kept_or_plain(
    context: Context, client: DICOMwebClient, tmp_path: Path, command: list[str], media_type: str | None
) -> None:
    [dataset] = tilted_ct(shape=(1, 64, 64))
    plain, other = tmp_path / "plain.dcm", tmp_path / "other.dcm"
    plain.write_bytes(as_bytes(dataset))
    subprocess.run([f"/usr/bin/{command[0]}", *command[1:], plain, other], check=True, timeout=60)
    sent = dcmread(other)
    stored = client.store_instances([sent])
    assert len(stored.ReferencedSOPSequence) == 1
    [row] = rows(context, "SELECT transfer_syntax_uid, digest FROM instance")
    assert row["transfer_syntax_uid"] == sent.file_meta.TransferSyntaxUID
    address = (sent.StudyInstanceUID, sent.SeriesInstanceUID, sent.SOPInstanceUID)

    kept = client.retrieve_instance(*address, media_types=ANY)
    assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert kept.PixelData == sent.PixelData
    explicit = client.retrieve_instance(*address, media_types=(("application/dicom", ExplicitVRLittleEndian),))
    assert explicit.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(explicit.pixel_array, dataset.pixel_array)
    [frame] = client.retrieve_instance_frames(*address, [1], media_types=("application/octet-stream",))
    assert frame == dataset.PixelData
    metadata = read_json(client.retrieve_instance_metadata(*address))
    assert metadata.PixelSpacing == dataset.PixelSpacing
    if media_type is not None:
        [bitstream] = client.retrieve_instance_frames(*address, [1], media_types=(media_type,))
        assert bitstream in sent.PixelData


def test_what_is_stored_is_in_custody_and_stored_again_it_is_no_more(context: Context, client: DICOMwebClient) -> None:
    datasets = [dcmread(BytesIO(as_bytes(dataset))) for dataset in tilted_ct()]
    for _ in range(2):
        answer = client.store_instances(datasets, study_instance_uid=datasets[0].StudyInstanceUID)
        assert "FailedSOPSequence" not in answer
        assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [
            dataset.SOPInstanceUID for dataset in datasets
        ]
        url = answer.ReferencedSOPSequence[3].RetrieveURL
        assert url.endswith(f"/instances/{datasets[3].SOPInstanceUID}")
    assert rows(context, "SELECT count(*) AS n FROM instance") == [{"n": 10}]
    for row in rows(context, "SELECT digest FROM instance"):
        assert dcmread(BytesIO(context.store.get(row["digest"]))).PatientID == "NJ-TEST-1"
    associations = rows(context, "SELECT calling_ae, peer, stored, rejected, ending FROM association")
    assert (
        associations == [{"calling_ae": "pacs", "peer": "rest", "stored": 10, "rejected": 0, "ending": "released"}] * 2
    )
    assert rows(context, "SELECT count(*) AS n FROM procrastinate_jobs WHERE task_name = 'assemble'") == [{"n": 1}]
    audited = rows(context, "SELECT account, action, study_uid FROM audit WHERE action LIKE 'DICOMweb%%'")
    assert audited == [{"account": "pacs", "action": "DICOMweb store", "study_uid": datasets[0].StudyInstanceUID}]


def _post(pages: ServedPages, parts: list[bytes], path: str = "/studies") -> httpx.Response:
    return httpx.post(
        f"{pages.url}/dicom-web{path}",
        content=b"".join(write_parts("xyz", (("application/dicom", [part]) for part in parts))),
        headers={"content-type": content_type("xyz", "application/dicom")},
        auth=("pacs", PASSWORD),
        timeout=30,
    )


def test_each_instance_is_answered_for_by_itself(context: Context, pages: ServedPages, tmp_path: Path) -> None:
    good, stray = as_bytes(tilted_ct()[0]), write(ct(), tmp_path / "stray.dcm").read_bytes()
    lying = bytearray(as_bytes(tilted_ct()[1]))
    place = bytes(lying).index(tilted_ct()[1].SOPInstanceUID.encode())
    lying[place + 8] = ord("1") if lying[place + 8] != ord("1") else ord("2")
    answer = _post(pages, [b"no DICOM", good, bytes(lying), stray], f"/studies/{tilted_ct()[0].StudyInstanceUID}")

    assert answer.status_code == 202
    said = read_json(answer.json())
    assert [item.ReferencedSOPInstanceUID for item in said.ReferencedSOPSequence] == [tilted_ct()[0].SOPInstanceUID]
    assert [item.FailureReason for item in said.FailedSOPSequence] == [0xA900, 0xA900]
    assert [item.FailureReason for item in said.OtherFailuresSequence] == [0xC000]
    assert said.RetrieveURL == f"{pages.url}/dicom-web/studies/{tilted_ct()[0].StudyInstanceUID}"
    [kept] = rows(context, "SELECT status, digest, sop_instance_uid FROM quarantine")
    assert data_set_of(bytes(lying)) in context.store.get(kept["digest"])
    assert _post(pages, [stray], "/studies/1.2").status_code == 409


def test_a_sender_learns_when_it_may_try_again_and_what_was_wrong(
    context: Context, pages: ServedPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = as_bytes(tilted_ct()[0])
    url, login = f"{pages.url}/dicom-web/studies", ("pacs", PASSWORD)
    plain = {"content-type": "application/dicom"}
    assert httpx.post(url, content=good, headers=plain, auth=login).status_code == 415
    broken = {"content-type": content_type("xyz", "application/dicom")}
    assert httpx.post(url, content=b"--xyz\r\n\r\nhalf", headers=broken, auth=login).status_code == 400
    assert rows(context, "SELECT count(*) AS n FROM instance") == [{"n": 0}]

    half = b"".join(write_parts("xyz", [("application/dicom", [good])])).removesuffix(b"--\r\n") + b"\r\n\r\nhalf"
    answer = httpx.post(url, content=half, headers=broken, auth=login)
    assert (answer.status_code, len(answer.json()["00081199"]["Value"])) == (202, 1)
    assert rows(context, "SELECT count(*) AS n FROM instance") == [{"n": 1}]
    assert {row["ending"] for row in rows(context, "SELECT ending FROM association")} == {"aborted"}

    monkeypatch.setattr(store, "LARGEST_BYTES", 1000)
    assert "larger than" in _post(pages, [good]).json()["detail"]
    monkeypatch.undo()
    monkeypatch.setattr(context.store, "free_bytes", lambda: -1)
    answer = _post(pages, [good])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert read_json(answer.json()).FailedSOPSequence[0].FailureReason == 0xA700


def test_who_may_and_who_may_not(context: Context, pages: ServedPages) -> None:
    answered(context, tilted_ct(), blobs(SHAPE, [1]), {"IPH": 1})
    url = f"{pages.url}/dicom-web/studies"
    nobody = httpx.get(url)
    assert (nobody.status_code, nobody.json()["detail"]) == (401, "Sign in first.")
    assert nobody.headers["www-authenticate"].startswith("Basic")
    assert "www-authenticate" not in httpx.get(url, headers={"sec-fetch-site": "same-origin"}).headers
    assert httpx.get(url, auth=("eve", PASSWORD)).status_code == 403
    assert httpx.get(url, headers={"authorization": "Basic nonsense"}).status_code == 401
    assert httpx.get(f"{pages.url}/", auth=("pacs", PASSWORD)).status_code == 303, "pages are for people"

    with httpx.Client(base_url=pages.url, headers={"sec-fetch-site": "same-origin"}) as browser:
        browser.post("/sign-in", data={"name": "ana", "password": PASSWORD})
        assert browser.get("/dicom-web/studies").status_code == 200
        elsewhere = {"sec-fetch-site": "cross-site", "content-type": content_type("xyz", "application/dicom")}
        assert browser.post("/dicom-web/studies", headers=elsewhere, auth=("pacs", PASSWORD)).status_code == 403
    with httpx.Client(base_url=pages.url) as system:
        system.post("/sign-in", data={"name": "pacs", "password": PASSWORD}, headers={"sec-fetch-site": "same-origin"})
        assert system.get("/").status_code == 403

    for _ in range(FAILURES_ALLOWED):
        assert httpx.get(url, auth=("pacs", "wrong")).status_code == 401
    assert httpx.get(url, auth=("pacs", PASSWORD)).status_code == 401
    signed = rows(context, "SELECT account, outcome FROM audit WHERE action = 'sign-in' AND outcome = 'failure'")
    assert signed == [{"account": "pacs", "outcome": "failure"}] * FAILURES_ALLOWED


def test_a_password_that_was_right_is_not_hashed_again_until_it_changes(context: Context, pages: ServedPages) -> None:
    url = f"{pages.url}/dicom-web/studies"
    for _ in range(3):
        assert httpx.get(url, auth=("pacs", PASSWORD)).status_code == 204
    assert rows(context, "SELECT count(*) AS n FROM audit WHERE action = 'sign-in'") == [{"n": 1}]
    rows(context, "UPDATE account SET password_hash = 'x' WHERE name = 'pacs' RETURNING 1")
    assert httpx.get(url, auth=("pacs", PASSWORD)).status_code == 401


def test_orthanc_says_the_same_of_the_same_files(context: Context, client: DICOMwebClient, orthanc: Orthanc) -> None:  # noqa: F811
    datasets = tilted_ct(name="Müller^Jörg")
    for dataset in datasets:
        dataset.SpecificCharacterSet = "ISO_IR 192"
    study_uid = answered(context, datasets, blobs(SHAPE, [1, 3]), {"IPH": 1, "SDH": 3})
    theirs = DICOMwebClient(f"{orthanc.url}/dicom-web")
    theirs.store_instances([dcmread(BytesIO(as_bytes(each))) for each in client.iter_study(study_uid, media_types=ANY)])

    for search in (
        lambda each: each.search_for_studies(),
        lambda each: each.search_for_series(study_uid),
        lambda each: each.search_for_instances(study_uid),
    ):
        ours, other = ({_uid(found): found for found in search(each)} for each in (client, theirs))
        assert set(ours) == set(other)
        for uid, found in ours.items():
            shared = (set(found) & set(other[uid])) - {"00080005", "00081190", "00081199"}
            assert len(shared) >= 6
            for tag in shared:
                assert _values(found[tag]) == _values(other[uid][tag]), tag
    ours, other = (
        {_uid(each): each for each in found.retrieve_study_metadata(study_uid)} for found in (client, theirs)
    )
    for uid, found in ours.items():
        missing = set(other[uid]) - set(found)
        assert {tag for tag in missing if not tag.startswith("0002")} == set()
        for tag in set(found) & set(other[uid]) - {"00080005", "7FE00010"}:
            if found[tag]["vr"] not in ("SQ", "OB", "OW", "UN", "DS"):
                assert _values(found[tag]) == _values(other[uid][tag]), tag


def _uid(found: dict[str, Any]) -> str:
    return str(next(found[tag]["Value"][0] for tag in ("00080018", "0020000E", "0020000D") if tag in found))


def _values(element: dict[str, Any]) -> list[Any]:
    values = element.get("Value", [])
    return sorted(values) if values and isinstance(values[0], str) else [value for value in values if value]
