"""The demonstration: starts the service, pushes studies as a scanner would, takes the results as a PACS would.

python -m services.demonstration            the demonstration studies, then the pages stay up
ONCE=1 python -m services.demonstration     ends after the table: 0 all as expected, 1 not
DICOM=DIR python -m services.demonstration  your own studies
"""

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from services.demonstration.display import Display
from services.demonstration.pacs import StandInPacs
from services.demonstration.phantom import write_phantoms
from services.demonstration.pushed import PushedStudy, own_studies, pushed_phantom
from services.demonstration.releasing import Released, readers_twice, release
from services.demonstration.report import StudyReport, find_problems, render, summarise
from services.demonstration.verify import verify_results
from services.embedded import Embedded
from services.errors import NightjarError, SettingsError
from services.ledger.database import Connection, connect
from services.ledger.demonstration import StudyOutcome, read_outcomes
from services.settings import Settings, load_settings

FALLBACK_S = 10.0
PACE_S = 15.0  # the next study is not held back longer than this by the one before
PATIENCE_S = 240.0  # without any study coming to its end
POLL_S = 0.2
_OURS = ("received", "phantoms", "links", "service", "tasks", "dataset", "summary.json", "nightjar.yaml")


def run_demo(out: Path, *, once: bool = False, dicom: Path | None = None) -> int:
    """Run the demonstration and return the exit status: 0 all studies ended as they should, 1 not.

    Args:
        out: summary.json, the received objects and everything the service writes go here.
        once: end after the table instead of keeping the pages up.
        dicom: push the studies below this folder instead of the demonstration studies.

    Raises:
        SettingsError: the configuration cannot be used; nothing is left running.
    """
    with ExitStack() as stack:
        stack.enter_context(_terminates_as_interrupt())
        stack.enter_context(_alone_in(out))
        display = Display()
        studies: list[PushedStudy] = []
        with display:
            if dicom is not None:
                studies += own_studies(dicom, out / "links", lambda count: display.step("Reading your studies", count))
            pacs = stack.enter_context(
                StandInPacs(out / "received", knows=lambda uid: any(study.study_uid == uid for study in studies))
            )
            display.step("Starting the database")
            service = stack.enter_context(Embedded(_settings(out, pacs)))
            stack.enter_context(_uninterrupted_end())
            if dicom is None:
                step = "Writing the demonstration studies"
                display.step(step)
                phantoms = write_phantoms(
                    out / "phantoms", progress=lambda _, done, total: display.step(step, done, total)
                )
                studies += map(pushed_phantom, phantoms)
            service.wait_ready(display.step)
            outcomes, refused = _push_all(studies, service.settings, display)
            display.step("Verifying the results")
            reports = [
                _report(study, outcomes.get(study.study_uid), pacs, refused[study.study_uid]) for study in studies
            ]
            released = None if dicom is not None else release(service.settings, out, list(outcomes), display)
        (out / "summary.json").write_text(json.dumps(summarise(reports, out), indent=2), encoding="utf-8")
        console = display.console
        console.print(render(reports))
        console.print(f"Written: {out / 'summary.json'}, received objects in {out / 'received'}", markup=False)
        if released is not None:
            console.print(_told(released), markup=False, soft_wrap=True)
        status = 0 if all(report.ok for report in reports) and (released is None or released.report) else 1
        if not once:
            _keep_up(service, display)
        return status


def _told(released: Released) -> str:
    if released.report is None:
        return f"No dataset was released. {released.reason}"
    return (
        f"Dataset of {released.cases} labels that demonstration readers accepted: {released.report.parent}\n"
        f"Its quality report: {released.report.resolve().as_uri()}"
    )


def _keep_up(service: Embedded, display: Display) -> None:
    router = service.settings.router
    lines = [f"Pages   {service.web_url}"]
    if service.login:
        lines.append(f"Sign in {service.login[0]} / {service.login[1]}")
    lines += [f"DICOM   {router.ae_title}@{router.host}:{router.port}", "Ctrl-C ends everything."]
    display.console.print("\n".join(lines), markup=False)
    try:
        service.watch()
    except KeyboardInterrupt:
        display.console.print("Ending.")


def _settings(out: Path, pacs: StandInPacs) -> Settings:
    """A short timer and the stand-in PACS; what NIGHTJAR_ variables say comes first."""
    config = out / "nightjar.yaml"
    written = {
        "data_dir": str(out / "service"),
        "router": {"fallback_s": FALLBACK_S},
        "review": {"tasks": str(readers_twice(out.resolve() / "tasks"))},
    }
    config.write_text(yaml.safe_dump(written), encoding="utf-8")
    settings = load_settings(config)
    return settings.model_copy(update={"destinations": (*settings.destinations, pacs.destination)})


def _push_all(
    studies: Sequence[PushedStudy], settings: Settings, display: Display
) -> tuple[dict[str, StudyOutcome], dict[str, tuple[str, ...]]]:
    """Push the studies one after another and return once all have ended or patience has.

    Returns:
        Outcomes, and what was refused on the way in, a sentence each; both by Study Instance UID.
    """
    uids = [study.study_uid for study in studies]
    refused = {}
    with connect(settings.database_url, autocommit=True) as ledger:
        for number, study in enumerate(studies, start=1):
            display.step(f"Sending {study.description}", number - 1, len(studies))
            refused[study.study_uid] = _push(study, settings)
            if number < len(studies):
                _wait_for_end(ledger, study.study_uid)
        return _wait_for_all(ledger, uids, display), refused


def _push(study: PushedStudy, settings: Settings) -> tuple[str, ...]:
    """Send a study from another process, in one association; returns what the listener refused."""
    router = settings.router
    peer = f"{router.ae_title}@{router.host}:{router.port}"
    command = [sys.executable, "-m", "services.cli", "send", "--json", str(study.directory), peer]
    sent = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    try:
        failures: list[tuple[str, str]] = json.loads(sent.stdout)["failures"]
    except (ValueError, KeyError) as error:
        last = (sent.stderr.strip() or "it said nothing").splitlines()[-1]
        raise NightjarError(f"Sending {study.description} failed: {last}") from error
    reasons = [reason for _, reason in failures]
    return tuple(f"{reasons.count(reason)} not stored: {reason}" for reason in dict.fromkeys(reasons))


def _wait_for_end(ledger: Connection, uid: str) -> None:
    until = time.monotonic() + PACE_S
    while time.monotonic() < until:
        outcome = read_outcomes(ledger, [uid]).get(uid)
        if outcome is not None and outcome.ended:
            return
        time.sleep(POLL_S)


def _wait_for_all(ledger: Connection, uids: Sequence[str], display: Display) -> dict[str, StudyOutcome]:
    most, moved_at = -1, time.monotonic()
    while True:
        outcomes = read_outcomes(ledger, uids)
        done = sum(outcome.done for outcome in outcomes.values())
        display.step("Waiting for results", done, len(uids))
        if done > most:
            most, moved_at = done, time.monotonic()
        if done == len(uids) or time.monotonic() - moved_at > PATIENCE_S:
            return outcomes
        time.sleep(POLL_S)


def _report(
    study: PushedStudy, outcome: StudyOutcome | None, pacs: StandInPacs, refused: tuple[str, ...]
) -> StudyReport:
    received = pacs.received(study.study_uid)
    wrong = verify_results(study, received)
    return StudyReport(study, outcome, received, find_problems(outcome, received, wrong), refused)


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Hold the folder, emptied of what an earlier demonstration left."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    except OSError as error:
        raise SettingsError(f"--out = {out}: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(f"--out = {out}: another demonstration is running there.") from error
        for name in _OURS:
            path = out / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        yield


@contextmanager
def _terminates_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the demonstration as Ctrl-C does: in order, with nothing left running."""

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _uninterrupted_end() -> Iterator[None]:
    """From the end of the block on, a second Ctrl-C no longer cuts the orderly end short."""
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
