"""OpenTelemetry's spans to a collector, by OTLP over HTTP. Imported only where a site traces."""

from collections.abc import Sequence

import httpx
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

TIMEOUT_S = 5.0


class _Exporter(SpanExporter):
    """A collector that does not answer costs its spans and nothing else."""

    def __init__(self, endpoint: str) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._client = httpx.Client(timeout=TIMEOUT_S, headers={"Content-Type": "application/x-protobuf"})

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            answer = self._client.post(self._url, content=encode_spans(spans).SerializeToString())
        except httpx.HTTPError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS if answer.is_success else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._client.close()


def open_provider(endpoint: str, part: str) -> TracerProvider:
    """Sends what its tracers record from a thread of its own; `shutdown` sends the rest."""
    provider = TracerProvider(resource=Resource({"service.name": "nightjar", "service.instance.id": part}))
    provider.add_span_processor(BatchSpanProcessor(_Exporter(endpoint)))
    return provider
