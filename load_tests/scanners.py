"""Scanners that send: each a queue of studies, N associations at once, and every instance again until it is taken."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from load_tests.studies import Study
from services.delivery.association import Peer
from services.delivery.store_scu import send_instances
from services.delivery.verdicts import Verdict
from services.part10 import StoredInstance, from_bytes

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 8.0


@dataclass
class Sent:
    """What became of one study at its scanner; times are `time.time()`.

    Attributes:
        acknowledged: SOP Instance UIDs answered with success.
        refused: instances the receiver will never take, with its reason.
        tries: C-STORE requests without success that were made again.
    """

    study: Study
    prior: bool
    asked_at: float
    began_at: float = 0.0
    ended_at: float = 0.0
    acknowledged: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    tries: int = 0

    @property
    def complete(self) -> bool:
        return self.ended_at > 0


class Scanner:
    """One AE that sends its studies in order, in `associations` at once, for as long as the `with` lasts."""

    def __init__(self, ae_title: str, peer: Peer, associations: int) -> None:
        self.ae_title = ae_title
        self._peer, self._associations = peer, associations
        self._waiting: queue.SimpleQueue[Sent | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=ae_title, daemon=True)

    def __enter__(self) -> "Scanner":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._waiting.put(None)
        self._thread.join()

    def take(self, study: Study, *, prior: bool = False) -> Sent:
        sent = Sent(study, prior, time.time())
        self._waiting.put(sent)
        return sent

    def _run(self) -> None:
        with ThreadPoolExecutor(self._associations, thread_name_prefix=self.ae_title) as pool:
            while (sent := self._waiting.get()) is not None and not self._ending.is_set():
                sent.began_at = time.time()
                groups = _dealt(sent.study.series, self._associations)
                done = list(pool.map(lambda group, sent=sent: self._send(group, sent), groups))
                if all(done):
                    sent.ended_at = time.time()

    def _send(self, files: Sequence[bytes], sent: Sent) -> bool:
        """Send until everything is answered for good; False when the scanner was switched off before."""
        waiting: list[StoredInstance] = [from_bytes(data) for data in files]
        pause_s = FIRST_PAUSE_S
        while True:
            again = []
            for instance, outcome in zip(waiting, send_instances(waiting, self._peer, self.ae_title), strict=True):
                if outcome.verdict is Verdict.STORED:
                    sent.acknowledged.add(outcome.sop_instance_uid)
                elif outcome.verdict is Verdict.REJECT:
                    sent.refused[outcome.sop_instance_uid] = outcome.reason
                else:
                    again.append(instance)
            sent.tries += len(again)
            if not again:
                return True
            if self._ending.wait(pause_s):
                return False
            waiting, pause_s = again, min(2 * pause_s, LONGEST_PAUSE_S)


def wait_sent(sent: Sequence[Sent], patience_s: float, look: Callable[[], None] = lambda: None) -> bool:
    """Wait until every study has left its scanner; False when patience ended first."""
    end = time.monotonic() + patience_s
    while not all(each.complete for each in sent):
        if time.monotonic() > end:
            return False
        look()
        time.sleep(0.2)
    return True


def _dealt(series: Sequence[Sequence[bytes]], hands: int) -> list[list[bytes]]:
    """Series over associations, whole, the longest first to the one with least."""
    dealt: list[list[bytes]] = [[] for _ in range(hands)]
    for files in sorted(series, key=len, reverse=True):
        min(dealt, key=len).extend(files)
    return [group for group in dealt if group]
