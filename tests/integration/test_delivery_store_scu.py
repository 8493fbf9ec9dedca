"""The storage SCU against receivers that are not ours, and against one that misbehaves."""

import threading
import time
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket
from support.ct import as_bytes, tilted_ct
from support.deliveries import result_files
from support.orthanc import Orthanc, orthanc, orthanc_server  # noqa: F401
from support.ports import free_ports
from support.scripted_scp import run_scripted
from support.storescp import run_storescp

from services.delivery.association import Peer
from services.delivery.store_scu import send, send_directory
from services.delivery.verdicts import Verdict
from services.part10 import from_bytes

SEG = (SegmentationStorage, ExplicitVRLittleEndian)
SR = (ComprehensiveSRStorage, ExplicitVRLittleEndian)
CT = (CTImageStorage, ExplicitVRLittleEndian)


def _peer(port: int, ae_title: str = "SCRIPTED", timeout_s: float = 5.0) -> Peer:
    return Peer(ae_title, "127.0.0.1", port, timeout_s)


def test_storescp_receives_the_very_bytes(tmp_path: Path) -> None:
    files = result_files()

    with run_storescp(tmp_path) as port:
        outcomes = send(files.values(), _peer(port, "ANY-SCP"), "NIGHTJAR")

    assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 3
    received = {from_bytes(path.read_bytes()).sop_instance_uid: path.read_bytes() for path in tmp_path.iterdir()}
    for data in files.values():
        instance = from_bytes(data)
        copy = from_bytes(received[instance.sop_instance_uid])
        assert copy.load() == instance.load()
        assert copy.transfer_syntax_uid == instance.transfer_syntax_uid


def test_orthanc_keeps_results_as_they_were_sent_and_only_once(orthanc: Orthanc) -> None:  # noqa: F811
    files = result_files()
    peer = _peer(orthanc.port, "ORTHANC")

    for _ in range(2):
        outcomes = send(files.values(), peer, "NIGHTJAR")
        assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 3

    for data in files.values():
        instance = from_bytes(data)
        (identifier,) = orthanc.find(SOPInstanceUID=instance.sop_instance_uid)
        assert from_bytes(orthanc.file(identifier)).load() == instance.load()
        (found,) = orthanc.qido(SOPInstanceUID=instance.sop_instance_uid)
        assert found["00080016"]["Value"] == [instance.sop_class_uid]


def test_no_response_is_lost_over_many_instances() -> None:
    """Where pynetdicom's reactor takes the answer, this test ends in timeouts."""
    datasets = [as_bytes(dataset) for dataset in tilted_ct(shape=(60, 16, 16), gaps_mm=(5.0,) * 59)]

    with run_scripted([CT], lambda event: 0x0000) as scp:
        for _ in range(5):
            outcomes = send(datasets, _peer(scp.port), "NIGHTJAR")
            assert {outcome.verdict for outcome in outcomes} == {Verdict.STORED}
        assert scp.associations == 5


def test_a_lost_association_is_opened_again_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    # The sender is told of a closed connection a while after it was closed, as on a busy machine.
    close = AssociationSocket.close

    def close_slowly(transport: AssociationSocket) -> None:
        close(transport)
        time.sleep(0.05)

    monkeypatch.setattr(AssociationSocket, "close", close_slowly)
    datasets = [as_bytes(dataset) for dataset in tilted_ct()]

    def answer(event: Event) -> int:
        if event.request.MessageID == 4:
            event.assoc.abort()
        return 0x0000

    with run_scripted([CT], answer) as scp:
        outcomes = send(datasets, _peer(scp.port), "NIGHTJAR")

    # Three associations: 3 + 3 + 3 instances stored, the tenth still without an answer.
    assert scp.associations == 3
    assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 9 + [Verdict.RETRY]


def test_a_receiver_that_never_answers_is_to_be_tried_again() -> None:
    released = threading.Event()

    def answer(event: Event) -> int:
        released.wait(20)
        return 0x0000

    with run_scripted([SEG, SR], answer) as scp:
        (outcome,) = send([result_files()["sr"]], _peer(scp.port, timeout_s=0.3), "NIGHTJAR")
        released.set()

    assert outcome.verdict is Verdict.RETRY
    assert "did not answer" in outcome.reason


@pytest.mark.parametrize(
    ("status", "verdict"), [(0xB000, Verdict.STORED), (0xA701, Verdict.RETRY), (0xC001, Verdict.REJECT)]
)
def test_each_instance_has_its_own_outcome(status: int, verdict: Verdict) -> None:
    files = result_files()

    def answer(event: Event) -> int:
        return status if event.request.AffectedSOPClassUID == SegmentationStorage else 0x0000

    with run_scripted([SEG, SR], answer) as scp:
        seg, sr = send([files["seg"], files["sr"]], _peer(scp.port), "NIGHTJAR")

    assert seg.verdict is verdict
    assert f"0x{status:04X}" in seg.reason
    assert (sr.verdict, sr.reason) == (Verdict.STORED, "")


def test_a_class_the_receiver_does_not_take_is_rejected_alone() -> None:
    files = result_files()

    with run_scripted([SR], lambda event: 0x0000) as scp:
        seg, sr = send([files["seg"], files["sr"]], _peer(scp.port), "NIGHTJAR")

    assert seg.verdict is Verdict.REJECT
    assert "Segmentation Storage" in seg.reason
    assert sr.verdict is Verdict.STORED


def test_a_receiver_of_implicit_little_endian_only_gets_that() -> None:
    data = result_files()["sr"]

    with run_scripted([(ComprehensiveSRStorage, ImplicitVRLittleEndian)], lambda event: 0x0000) as scp:
        (outcome,) = send([data], _peer(scp.port), "NIGHTJAR")

    assert outcome.verdict is Verdict.STORED
    ((_, syntax, received),) = scp.received
    assert syntax == ImplicitVRLittleEndian
    copy = dcmread(BytesIO(received), force=True)
    assert _plain(copy) == _plain(dcmread(BytesIO(data)))


def _plain(dataset: Dataset) -> str:
    return dataset.to_json()


@pytest.mark.parametrize(
    ("contexts", "called", "verdict", "says"),
    [
        ([SR], "SOMEONE", Verdict.RETRY, "rejects the association"),
        ([CT], "SCRIPTED", Verdict.REJECT, "does not accept Comprehensive SR Storage"),
    ],
)
def test_a_refused_association_says_why(
    contexts: list[tuple[str, str]], called: str, verdict: Verdict, says: str
) -> None:
    with run_scripted(contexts, lambda event: 0x0000) as scp:
        (outcome,) = send([result_files()["sr"]], _peer(scp.port, called), "NIGHTJAR")

    assert outcome.verdict is verdict
    assert says in outcome.reason


def test_nobody_there_is_to_be_tried_again() -> None:
    (outcome,) = send([result_files()["sr"]], _peer(free_ports(1)[0]), "NIGHTJAR")

    assert outcome.verdict is Verdict.RETRY
    assert outcome.reason == "nothing answers there"


def test_a_directory_goes_out_and_other_files_are_named(tmp_path: Path) -> None:
    datasets = tilted_ct()
    for index, dataset in enumerate(datasets):
        path = tmp_path / "study" / f"{index:02}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(as_bytes(dataset))
    (tmp_path / "study" / "README").write_text("not DICOM")
    refused = datasets[3].SOPInstanceUID
    seen: list[tuple[int, int]] = []

    def answer(event: Event) -> int:
        return 0xC000 if event.request.AffectedSOPInstanceUID == refused else 0x0000

    with run_scripted([CT], answer) as scp:
        summary = send_directory(
            tmp_path, _peer(scp.port), calling_ae="TEST", progress=lambda done, total: seen.append((done, total))
        )

    assert summary.sent == 9
    assert summary.skipped == (str(tmp_path / "study" / "README"),)
    ((file, reason),) = summary.failures
    assert file == str(tmp_path / "study" / "03")
    assert "0xC000" in reason
    assert seen == [(done, 10) for done in range(1, 11)]
    assert [uid for uid, _, _ in scp.received] == [dataset.SOPInstanceUID for dataset in datasets]


def test_more_classes_than_one_association_can_propose(tmp_path: Path) -> None:
    """Presentation contexts are limited to 128, two for each class here; every instance still gets its answer."""
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts[:140]]
    for index, sop_class in enumerate(classes):
        dataset = tilted_ct(shape=(1, 2, 2), seed=index)[0]
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
        (tmp_path / f"{index:03}").write_bytes(as_bytes(dataset))

    with run_scripted([(sop_class, ExplicitVRLittleEndian) for sop_class in classes[::2]], lambda event: 0x0000) as scp:
        summary = send_directory(tmp_path, _peer(scp.port))

    assert summary.sent == 70
    assert len(summary.failures) == 70
    assert all(reason.startswith("it does not accept") for _, reason in summary.failures)
    assert scp.associations == 3
