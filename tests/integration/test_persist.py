"""One instance into store and ledger, whoever brings it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from support.instances import ROOT, ct, encoded

from dicom_router.persist import persist
from services.context import Context
from services.errors import Reject
from services.ledger.intake import Recorded, Sender

_SYNTAX = "1.2.840.10008.1.2.1"


def _sender(peer: str = "test") -> Sender:
    return Sender(uuid4(), "SCANNER", "NIGHTJAR", peer)


def _rows(context: Context, query: str) -> list[dict[str, object]]:
    with context.pool.connection() as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.fixture(autouse=True)
def _room(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context.store, "free_bytes", lambda: 1 << 50)


def test_overlapping_senders_of_the_same_series_store_it_once(context: Context) -> None:
    datasets = [encoded(ct(index)) for index in range(20)]

    def send(offset: int) -> list[Recorded]:
        sender = _sender()
        return [persist(context, one, _SYNTAX, sender) for one in datasets[offset:] + datasets[:offset]]

    with ThreadPoolExecutor(4) as threads:
        outcomes = Counter(one for part in threads.map(send, (0, 5, 10, 15)) for one in part)
    assert outcomes == {Recorded.NEW: 20, Recorded.DUPLICATE: 60}
    assert _rows(context, "SELECT instances, revision FROM series") == [{"instances": 20, "revision": 20}]
    assert _rows(context, "SELECT sum(stored)::int AS stored FROM association") == [{"stored": 80}]


def test_a_series_that_claims_two_studies_is_quarantined(context: Context) -> None:
    persist(context, encoded(ct(0)), _SYNTAX, _sender())
    stray = ct(1, StudyInstanceUID=f"{ROOT}.2")
    with pytest.raises(Reject, match="another study"):
        persist(context, encoded(stray), _SYNTAX, _sender("rest"))
    assert _rows(context, "SELECT study_uid FROM study") == [{"study_uid": f"{ROOT}.1"}]
    [row] = _rows(context, "SELECT reason, status, digest FROM quarantine")
    assert row["status"] == 0xC000
    assert encoded(stray) in context.store.get(str(row["digest"]))


def test_a_quarantined_data_set_can_still_become_an_instance(context: Context) -> None:
    data_set = encoded(ct(0))
    with pytest.raises(Reject):
        persist(context, data_set, _SYNTAX, _sender(), sop_instance_uid="1.2.3")
    assert persist(context, data_set, _SYNTAX, _sender()) is Recorded.NEW
    [row] = _rows(context, "SELECT digest FROM instance")
    assert b"1.2.3\x00" not in context.store.get(str(row["digest"]))[:400]


def test_a_sender_closed_too_early_is_open_again_with_its_next_instance(context: Context) -> None:
    sender = _sender()
    persist(context, encoded(ct(0)), _SYNTAX, sender)
    with context.pool.connection() as connection:
        connection.execute("UPDATE association SET closed_at = now(), ending = 'lost'")
    persist(context, encoded(ct(1)), _SYNTAX, sender)
    assert _rows(context, "SELECT closed_at, ending, stored FROM association") == [
        {"closed_at": None, "ending": None, "stored": 2}
    ]
