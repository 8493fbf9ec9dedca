"""One study through every log line and every trace, under a random pseudonym that leads to nobody without the ledger.

Log lines never quote an exception's text unless it is one of ours: a stranger's may hold a header. Traces are
OpenTelemetry's, sent only where `tracing.endpoint` names a collector; all spans of a study are one trace, whose
identifier is the pseudonym.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from models.errors import ModelError
from services.errors import NightjarError
from services.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_study: ContextVar[UUID | None] = ContextVar("study", default=None)
_tracing: "TracerProvider | None" = None


class _Safe(logging.Formatter):
    """Exceptions as places in the code and types; their text only where it is ours."""

    def formatException(self, info: Any) -> str:  # noqa: N802 - the base class's name
        return "\n".join(_told(info[1], info[2]))

    def format(self, record: logging.LogRecord) -> str:
        study = _study.get()
        record.study = "" if study is None else f" [{study.hex}]"
        return super().format(record)


class _Json(_Safe):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        study = _study.get()
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if study is not None:
            line["study"] = study.hex
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _told(error: BaseException, trace: TracebackType | None) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _told(cause, cause.__traceback__)
    yield from (line.rstrip("\n") for line in traceback.format_tb(trace))
    yield f"{type(error).__name__}: {error}" if isinstance(error, NightjarError | ModelError) else type(error).__name__


def log_to_stderr(style: str = "text") -> None:
    """Have every logger of this process write to the standard error, as text or as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    text = _Safe("%(asctime)s %(levelname)s %(name)s%(study)s: %(message)s")
    handler.setFormatter(_Json() if style == "json" else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


@contextmanager
def tracing(settings: Settings, part: str) -> Iterator[None]:
    """Send spans to the collector that the settings name until the block ends; what is left goes out then."""
    global _tracing  # noqa: PLW0603 - one a process, as a logger
    if settings.tracing.endpoint is None:
        yield
        return
    from services.operations.otlp import open_provider

    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    provider = open_provider(settings.tracing.endpoint, part)
    _tracing = provider
    try:
        yield
    finally:
        _tracing = None
        provider.shutdown()


@contextmanager
def of_study(pseudonym: UUID | None, stage: str, **attributes: str | int) -> Iterator[None]:
    """Log lines of the block carry the study, and the block is a span of its trace.

    Args:
        attributes: of the span; never a patient's, never a UID.
    """
    token = _study.set(pseudonym)
    try:
        if _tracing is None or pseudonym is None:
            yield
        else:
            yield from _span(_tracing, pseudonym, stage, attributes)
    finally:
        _study.reset(token)


def trace_headers() -> dict[str, str]:
    """The study at work as another process is told it (W3C Trace Context); empty where no study is."""
    study = _study.get()
    return {} if study is None else {"traceparent": f"00-{study.hex}-{_root_span(study):016x}-01"}


def _root_span(pseudonym: UUID) -> int:
    """Every stage is a child of the study itself, which nobody measures: an identifier made of the same pseudonym."""
    return pseudonym.int >> 64 or 1


def _span(provider: "TracerProvider", pseudonym: UUID, stage: str, attributes: dict[str, Any]) -> Iterator[None]:
    from opentelemetry import trace
    from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

    study = SpanContext(pseudonym.int, _root_span(pseudonym), is_remote=True, trace_flags=TraceFlags(1))
    span = provider.get_tracer("nightjar").start_span(
        stage, trace.set_span_in_context(NonRecordingSpan(study)), attributes=attributes
    )
    try:
        yield
    except BaseException as error:
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise
    finally:
        span.end()
