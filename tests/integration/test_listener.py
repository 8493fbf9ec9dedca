"""The listener against DCMTK's clients, on loopback, with a real ledger."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
)
from support.certificates import certify
from support.instances import ct, data_set_of, encoded, write
from support.jobs import waiting

from dicom_router.listener import Listener
from services.context import Context
from services.errors import SettingsError
from services.ledger.intake import Sender, open_association
from services.operations.instruments import ASSOCIATIONS_ENDED, CERTIFICATE_EXPIRES
from services.settings import ListenerTLSSettings


def _with(context: Context, **router: object) -> Context:
    changed = context.settings.router.model_copy(update=router)
    return replace(context, settings=context.settings.model_copy(update={"router": changed}))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def listening(context: Context) -> Iterator[tuple[Context, Listener]]:
    context = _with(context, port=_free_port(), low_disk_mb=0)
    listener = Listener(context)
    listener.start()
    yield context, listener
    listener.stop()


def _storescu(listener_port: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/usr/bin/storescu", "-v", "-aet", "SCANNER", "-aec", "NIGHTJAR", "127.0.0.1", str(listener_port),
         *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=120, env=os.environ | {"TCP_NODELAY": "1"},
    )  # fmt: skip


def _rows(context: Context, query: str) -> list[dict[str, object]]:
    with context.pool.connection() as connection:
        return connection.execute(query.encode()).fetchall()


def _until_closed(context: Context) -> None:
    for _ in range(200):
        if not _rows(context, "SELECT FROM association WHERE closed_at IS NULL"):
            return
        time.sleep(0.05)
    raise AssertionError("an association is still open")


def test_verification(listening: tuple[Context, Listener]) -> None:
    _, listener = listening
    assert subprocess.run(["/usr/bin/echoscu", "127.0.0.1", str(listener.port)], check=False).returncode == 0


def test_a_series_arrives_once_and_its_assembly_is_asked_for(
    listening: tuple[Context, Listener], tmp_path: Path
) -> None:
    context, listener = listening
    released = ASSOCIATIONS_ENDED.labels("released")
    before = released._value.get()
    files = [write(ct(index), tmp_path / f"{index}.dcm") for index in range(6)]
    for _ in range(2):  # the second time is a resend
        sent = _storescu(listener.port, *files)
        assert sent.returncode == 0
        assert sent.stderr.count("Received Store Response (Success)") == 6
        _until_closed(context)
    assert released._value.get() > before
    instances = _rows(context, "SELECT * FROM instance ORDER BY id")
    assert len(instances) == 6
    for row, file in zip(instances, files, strict=True):
        kept = context.store.get(str(row["digest"]))
        assert kept[:132] == bytes(128) + b"DICM"
        assert data_set_of(kept) == data_set_of(file.read_bytes())
        assert hashlib.sha256(data_set_of(kept)).hexdigest() == row["digest"]
    [series] = _rows(context, "SELECT * FROM series")
    assert (series["instances"], series["revision"], series["state"]) == (6, 6, "receiving")
    [study] = _rows(context, "SELECT * FROM study")
    assert study["patient_name"] == "Test^Müller"
    assert [
        (row["stored"], row["ending"], row["calling_ae"]) for row in _rows(context, "SELECT * FROM association")
    ] == [(6, "released", "SCANNER")] * 2
    assert waiting(context, "assemble") == [series["series_uid"]]


def test_other_bytes_under_a_known_uid_are_kept_and_reported(
    listening: tuple[Context, Listener], tmp_path: Path
) -> None:
    context, listener = listening
    first, other = write(ct(), tmp_path / "a.dcm"), write(ct(PatientID="T2"), tmp_path / "b.dcm")
    sent = _storescu(listener.port, first, other)
    assert sent.stderr.count("(Success)") == 2
    assert [row["conflict"] for row in _rows(context, "SELECT conflict FROM instance ORDER BY id")] == [False, True]
    assert [row["instances"] for row in _rows(context, "SELECT instances FROM series")] == [1]
    assert len(_rows(context, "SELECT FROM event WHERE kind = 'conflict'")) == 1


def test_a_site_may_refuse_conflicts_which_are_kept_all_the_same(context: Context, tmp_path: Path) -> None:
    context = _with(context, port=_free_port(), low_disk_mb=0, on_conflict="refuse")
    listener = Listener(context)
    listener.start()
    sent = _storescu(
        listener.port, "-nh", write(ct(), tmp_path / "a.dcm"), write(ct(PatientID="T2"), tmp_path / "b.dcm")
    )
    listener.stop()
    assert sent.stderr.count("(Success)") == 1
    assert "Error: CannotUnderstand" in sent.stderr
    assert len(_rows(context, "SELECT FROM instance")) == 2


def test_an_unreadable_instance_is_quarantined_and_the_association_goes_on(listening: tuple[Context, Listener]) -> None:
    context, listener = listening
    # DCMTK will not send what it cannot read, so the requests are made from primitives.
    from pynetdicom import AE
    from pynetdicom.dimse_primitives import C_STORE

    answers: list[int] = []
    entity = AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", listener.port)
    assert association.is_established
    good = ct()
    mismatched = ct(1, SOPInstanceUID="1.2.3.4.5")
    for number, (uid, data_set) in enumerate(
        [
            ("1.2.3.1", b"\xde\xad\xbe\xef" * 99),
            ("1.2.3.2", b""),
            ("1.2.3.3", encoded(ct(2, StudyInstanceUID=None))),
            ("1.2.3.4", encoded(mismatched)),
            ("1.2.3.6", encoded(ct(3))[:-40]),
            (good.SOPInstanceUID, encoded(good)),
        ],
        start=1,
    ):
        request = C_STORE()
        request.MessageID, request.Priority = number, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
        request.DataSet = BytesIO(data_set or b"\x00")
        association._reactor_checkpoint.clear()
        while not association._is_paused:
            time.sleep(0.001)
        association.dimse.send_msg(request, 1)
        _, response = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        answers.append(response.Status)
    association.release()
    assert answers == [0xC000, 0xC000, 0xC000, 0xA900, 0xC000, 0x0000]
    quarantined = _rows(context, "SELECT * FROM quarantine ORDER BY id")
    assert [row["status"] for row in quarantined] == answers[:5]
    assert data_set_of(context.store.get(str(quarantined[0]["digest"]))) == b"\xde\xad\xbe\xef" * 99
    assert [row["sop_instance_uid"] for row in quarantined][:2] == ["1.2.3.1", "1.2.3.2"]
    _until_closed(context)
    assert [(row["stored"], row["rejected"]) for row in _rows(context, "SELECT * FROM association")] == [(1, 5)]


@pytest.mark.parametrize(
    ("option", "syntax"),
    [
        ("-xi", ImplicitVRLittleEndian),
        ("-xb", ExplicitVRBigEndian),
        ("-xd", DeflatedExplicitVRLittleEndian),
        ("-xs", JPEGLosslessSV1),
        ("-xv", JPEG2000Lossless),
    ],
)
def test_every_transfer_syntax_is_stored_byte_for_byte(
    listening: tuple[Context, Listener], tmp_path: Path, option: str, syntax: str
) -> None:
    context, listener = listening
    dataset = ct()
    if syntax in (JPEGLosslessSV1, JPEG2000Lossless):
        from pydicom.encaps import encapsulate

        dataset.PixelData = encapsulate([b"\xff\xd8not a picture, and nobody looks\xff\xd9"])
        dataset["PixelData"].is_undefined_length = True
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = bytes(512)
    file = write(dataset, tmp_path / "a.dcm", syntax)
    sent = _storescu(listener.port, option, file)
    assert sent.returncode == 0, sent.stderr
    [row] = _rows(context, "SELECT * FROM instance")
    assert row["transfer_syntax_uid"] == syntax
    assert row["attributes"]["Rows"] == 16  # type: ignore[index]
    kept = context.store.get(str(row["digest"]))
    ours, theirs = data_set_of(kept), data_set_of(file.read_bytes())
    if syntax == DeflatedExplicitVRLittleEndian:  # DCMTK deflates again
        ours, theirs = (zlib.decompress(data, -zlib.MAX_WBITS) for data in (ours, theirs))
    assert ours == theirs


def test_private_and_retired_storage_classes_are_accepted(listening: tuple[Context, Listener]) -> None:
    context, listener = listening
    from pynetdicom import AE

    entity = AE(ae_title="SCANNER")
    classes = ["1.3.12.2.1107.5.9.1", "1.2.840.10008.5.1.4.1.1.5"]
    for uid in classes:
        entity.add_requested_context(uid)
    association = entity.associate("127.0.0.1", listener.port)
    accepted = [context.abstract_syntax for context in association.accepted_contexts]
    association.release()
    assert accepted == classes
    _until_closed(context)


def test_a_private_transfer_syntax_is_passed_over_for_one_that_can_be_read(
    listening: tuple[Context, Listener],
) -> None:
    _, listener = listening
    from pynetdicom import AE

    entity = AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.2", ["1.2.3.4.5", "1.2.840.10008.1.2.4.90"])
    association = entity.associate("127.0.0.1", listener.port)
    accepted = [str(context.transfer_syntax[0]) for context in association.accepted_contexts]
    association.release()
    assert accepted == ["1.2.840.10008.1.2.4.90"]


def test_a_store_that_fails_is_no_success(
    listening: tuple[Context, Listener], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, listener = listening

    def full(data: bytes, key: str | None = None) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(context.store, "put", full)
    sent = _storescu(listener.port, write(ct(), tmp_path / "a.dcm"))
    assert "(Success)" not in sent.stderr
    assert not _rows(context, "SELECT FROM instance")


def test_low_disk_refuses_and_keeps_nothing(context: Context, tmp_path: Path) -> None:
    context = _with(context, port=_free_port(), low_disk_mb=1 << 40)
    listener = Listener(context)
    listener.start()
    sent = _storescu(listener.port, write(ct(), tmp_path / "a.dcm"))
    listener.stop()
    assert "0xa700" in sent.stderr.lower() or "OutOfResources" in sent.stderr
    assert not _rows(context, "SELECT FROM instance")
    assert not _rows(context, "SELECT FROM quarantine")


def test_an_association_cut_off_is_closed_as_lost_and_its_series_assembled(
    listening: tuple[Context, Listener], tmp_path: Path
) -> None:
    context, listener = listening
    from pynetdicom import AE

    entity = AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", listener.port)
    dataset: Dataset = ct()
    write(dataset, tmp_path / "a.dcm")
    assert association.send_c_store(dataset).Status == 0
    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    _until_closed(context)
    association.kill()
    assert [row["ending"] for row in _rows(context, "SELECT * FROM association")] == ["lost"]
    assert waiting(context, "assemble") == [dataset.SeriesInstanceUID]


def test_a_port_in_use_names_setting_and_value(listening: tuple[Context, Listener]) -> None:
    context, listener = listening
    with pytest.raises(SettingsError, match=rf"router\.port = {listener.port}"):
        Listener(context).start()


_SERVER = """
import sys
from pathlib import Path
from services.context import Context
from services.ledger.database import open_pool
from services.settings import Settings
from services.storage import LocalStore
from dicom_router.listener import run

url, data, port = sys.argv[1:]
settings = Settings.model_validate(
    {"data_dir": data, "database": {"url": url}, "router": {"port": int(port), "low_disk_mb": 0}}
)
run(Context(settings=settings, pool=open_pool(url, size=8), store=LocalStore(settings.store_path)))
"""


def test_kill_9_in_the_middle_loses_nothing_that_was_acknowledged(
    context: Context, database_url: str, tmp_path: Path
) -> None:
    port = _free_port()
    data = context.settings.data_dir
    arguments = [sys.executable, "-c", textwrap.dedent(_SERVER), database_url, str(data), str(port)]
    server = subprocess.Popen(arguments)
    try:
        _wait_for_port(port)
        files = [write(ct(index, size=256), tmp_path / f"{index:03}.dcm") for index in range(200)]
        sender = subprocess.Popen(
            ["/usr/bin/storescu", "-v", "-aec", "NIGHTJAR", "127.0.0.1", str(port), *map(str, files)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | {"TCP_NODELAY": "1"},
        )  # fmt: skip
        assert sender.stderr is not None
        acknowledged = 0
        for line in sender.stderr:
            acknowledged += "Received Store Response (Success)" in line
            if acknowledged == 20:
                server.send_signal(signal.SIGKILL)
                break
        acknowledged += sender.stderr.read().count("Received Store Response (Success)")
        sender.stderr.close()
        sender.wait(60)
        server.wait(10)
        kept = _rows(context, "SELECT digest FROM instance")
        assert 20 <= acknowledged <= len(kept) <= acknowledged + 1
        for row in kept:
            digest = str(row["digest"])
            assert hashlib.sha256(data_set_of(context.store.get(digest))).hexdigest() == digest
        assert len(_rows(context, "SELECT FROM association WHERE closed_at IS NULL AND stored > 0")) == 1

        server = subprocess.Popen(arguments)
        _wait_for_port(port)
        assert _storescu(port, *files).returncode == 0
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
        endings = [
            row["ending"]
            for row in _rows(context, "SELECT ending FROM association WHERE stored > 0 ORDER BY opened_at")
        ]
        assert endings == ["lost", "released"]
        assert _rows(context, "SELECT instances FROM series") == [{"instances": 200}]
    finally:
        server.kill()
        server.wait()


def _wait_for_port(port: int) -> None:
    for _ in range(600):
        if (
            subprocess.run(["/usr/bin/echoscu", "127.0.0.1", str(port)], capture_output=True, check=False).returncode
            == 0
        ):
            return
        time.sleep(0.1)
    raise AssertionError("the listener did not come up")


def test_sigterm_drains_what_is_running_and_refuses_what_is_new(
    context: Context, database_url: str, tmp_path: Path
) -> None:
    port = _free_port()
    arguments = [
        sys.executable,
        "-c",
        textwrap.dedent(_SERVER),
        database_url,
        str(context.settings.data_dir),
        str(port),
    ]
    server = subprocess.Popen(arguments)
    try:
        _wait_for_port(port)
        from pynetdicom import AE

        entity = AE(ae_title="SCANNER")
        entity.add_requested_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
        association = entity.associate("127.0.0.1", port)
        instances = [ct(index) for index in range(4)]
        for index, instance in enumerate(instances):
            write(instance, tmp_path / f"{index}.dcm")
        assert association.send_c_store(instances[0]).Status == 0
        server.send_signal(signal.SIGTERM)
        while _reachable(port):
            time.sleep(0.05)
        for instance in instances[1:]:
            assert association.send_c_store(instance).Status == 0
        assert server.poll() is None, "it waits for the association"
        association.release()
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()
    assert [row["ending"] for row in _rows(context, "SELECT ending FROM association WHERE stored > 0")] == ["released"]
    assert _rows(context, "SELECT instances FROM series") == [{"instances": 4}]


def test_an_association_that_does_not_end_is_aborted_when_draining_ends(context: Context, tmp_path: Path) -> None:
    listener = Listener(_with(context, port=_free_port(), low_disk_mb=0, drain_s=0.2))
    listener.start()
    from pynetdicom import AE

    entity = AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", listener.port)
    dataset = ct()
    write(dataset, tmp_path / "a.dcm")
    assert association.send_c_store(dataset).Status == 0
    listener.stop()
    association.join(10)
    assert association.is_aborted
    _until_closed(context)
    assert waiting(context, "assemble") == [dataset.SeriesInstanceUID]


def test_a_listener_that_starts_closes_its_own_earlier_life_and_leaves_the_others_alone(context: Context) -> None:
    port = _free_port()
    own = f"{socket.gethostname()}:{port}"
    now = context.now()
    with context.pool.connection() as connection:
        for number, (name, age_s) in enumerate([(own, 5), ("other:11112", 5), ("gone:11112", 3600), (None, 5)]):
            sender = Sender(UUID(int=number), "SCANNER", "NIGHTJAR", "10.0.0.1:1", name)
            open_association(connection, sender, now - timedelta(seconds=age_s))
    listener = Listener(_with(context, port=port))
    assert listener.why_not_ready() is not None
    listener.start()
    assert listener.why_not_ready() is None
    listener.stop()
    assert listener.why_not_ready() is not None
    still_open = _rows(context, "SELECT listener FROM association WHERE closed_at IS NULL")
    assert still_open == [{"listener": "other:11112"}]


def _reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def secured(context: Context, tmp_path: Path) -> Iterator[tuple[Context, Listener, ListenerTLSSettings]]:
    """A listener with and without TLS, whose TLS senders must show the certificate called scanner."""
    certificate, key = certify(tmp_path, "nightjar")
    authority, _ = certify(tmp_path, "scanner")
    tls = ListenerTLSSettings(port=_free_port(), certificate=certificate, key=key, client_authorities=authority)
    context = _with(context, port=_free_port(), low_disk_mb=0, tls=tls)
    listener = Listener(context)
    listener.start()
    yield context, listener, tls
    listener.stop()


def test_a_study_comes_over_tls_from_a_sender_that_is_known(
    secured: tuple[Context, Listener, ListenerTLSSettings], tmp_path: Path
) -> None:
    context, listener, tls = secured
    known = ("+tls", tmp_path / "scanner.key", tmp_path / "scanner.crt", "+cf", tls.certificate)
    files = [write(ct(index), tmp_path / f"{index}.dcm") for index in range(3)]
    with socket.create_connection(("127.0.0.1", tls.port)):  # it never says a word, and holds up nobody
        sent = _storescu(tls.port, *known, *files)
    assert sent.returncode == 0, sent.stderr
    assert sent.stderr.count("Received Store Response (Success)") == 3
    plain = _storescu(listener.port, write(ct(3), tmp_path / "3.dcm"))
    assert plain.returncode == 0
    assert len(_rows(context, "SELECT FROM instance")) == 4


def test_over_tls_nothing_comes_from_strangers_nor_in_the_clear(
    secured: tuple[Context, Listener, ListenerTLSSettings], tmp_path: Path
) -> None:
    context, _, tls = secured
    file = write(ct(0), tmp_path / "0.dcm")
    certify(tmp_path, "stranger")
    stranger = ("+tls", tmp_path / "stranger.key", tmp_path / "stranger.crt", "+cf", tls.certificate)
    for arguments in (stranger, ("+tla", "+cf", tls.certificate), ()):
        assert _storescu(tls.port, *arguments, file).returncode != 0
    assert _rows(context, "SELECT FROM instance") == []


def test_a_renewed_certificate_is_served_without_a_restart(
    secured: tuple[Context, Listener, ListenerTLSSettings], tmp_path: Path
) -> None:
    _, _, tls = secured
    before = CERTIFICATE_EXPIRES.collect()[0].samples[0].value
    assert 29 * 86400 < before - time.time() < 31 * 86400
    renewed = tmp_path / "renewed"
    renewed.mkdir()
    for new, old in zip(certify(renewed, "nightjar", days=60), (tls.certificate, tls.key), strict=True):
        new.rename(old)
    for _ in range(200):
        if CERTIFICATE_EXPIRES.collect()[0].samples[0].value > before + 86400:
            break
        time.sleep(0.05)
    known = ("+tls", tmp_path / "scanner.key", tmp_path / "scanner.crt", "+cf", tls.certificate)
    assert _storescu(tls.port, *known, write(ct(0), tmp_path / "0.dcm")).returncode == 0


def test_a_certificate_that_cannot_be_used_names_its_setting(context: Context, tmp_path: Path) -> None:
    certificate, key = certify(tmp_path, "nightjar")
    tls = ListenerTLSSettings(port=_free_port(), certificate=key, key=key)
    with pytest.raises(SettingsError, match=r"router\.tls\.certificate = .*nightjar\.key"):
        Listener(_with(context, tls=tls)).start()
    tls = ListenerTLSSettings(port=_free_port(), certificate=certificate, key=key, client_authorities=tmp_path / "no")
    with pytest.raises(SettingsError, match=r"router\.tls\.client_authorities = .* \(No such file"):
        Listener(_with(context, tls=tls)).start()
