"""What a process counts of itself; the ledger's figures are in `metrics`. No label names a person or an instance."""

from prometheus_client import CollectorRegistry, Counter, Gauge, PlatformCollector, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

C_STORE_ANSWERS = Counter(
    "nightjar_c_store_answers",
    "C-STORE requests answered by this listener, by DIMSE status.",
    ["status"],
    registry=REGISTRY,
)
ASSOCIATIONS = Gauge("nightjar_listener_associations", "Associations this listener serves now.", registry=REGISTRY)
ASSOCIATIONS_ENDED = Counter(
    "nightjar_listener_associations_ended",
    "Associations that ended at this listener: released, aborted, lost, or rejected because there were too many.",
    ["ending"],
    registry=REGISTRY,
)
CERTIFICATE_EXPIRES = Gauge(
    "nightjar_listener_certificate_expires_timestamp_seconds",
    "When the certificate of DICOM over TLS ends, seconds since 1970; 1 when it has ended, 0 without TLS.",
    registry=REGISTRY,
)
SOURCE_INSTANCES = Counter(
    "nightjar_source_instances",
    "Instances that an archive told of, by what became of them: kept, passed_by (another modality, or our own), "
    "quarantined, gone (no longer there).",
    ["source", "outcome"],
    registry=REGISTRY,
)
SOURCE_READ = Gauge(
    "nightjar_source_read_timestamp_seconds",
    "When this router last read an archive's changes, seconds since 1970; 0: not yet.",
    ["source"],
    registry=REGISTRY,
)
