"""The configuration: one YAML file plus `NIGHTJAR_` environment variables, frozen, unknown keys refused.

`NIGHTJAR_ROUTER__PORT=11113` overrides `router: {port: ...}` of the file.
"""

from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from services.archive_settings import ArchiveSettings, Destination, Source
from services.audit_settings import AuditRepository
from services.errors import SettingsError
from services.notification_settings import Notification
from services.setting_types import AETitle, Port, Seconds, Section
from services.sign_on_settings import SignOnSettings
from services.storage_settings import S3Connection, S3Settings


class DatabaseSettings(Section):
    url: str | None = Field(None, description="Postgres URL. Without one, embedded mode starts its own under data_dir.")


class ListenerTLSSettings(Section):
    """DICOM over TLS, on a port of its own. Renewed files are taken without a restart."""

    port: Port = Field(2762, description="Port of the DICOM listener with TLS.")
    certificate: Path = Field(description="The listener's certificate, with those that signed it (PEM).")
    key: Path = Field(description="Its private key (PEM).")
    client_authorities: Path | None = Field(
        None, description="Certificates (PEM) of which one must have signed a sender's. Without it, senders show none."
    )
    only: bool = Field(False, description="No listener without TLS on router.port.")


class RouterSettings(Section):
    ae_title: AETitle = Field("NIGHTJAR", description="Application Entity title of the listener.")
    host: str = Field("127.0.0.1", description="Address the DICOM listener binds to.")
    port: Port = Field(11112, description="Port of the DICOM listener.")
    maximum_associations: int = Field(64, ge=1, description="Associations served at once; more are refused.")
    idle_s: Seconds = Field(
        3.0, description="An open association that sent nothing for so long no longer delays completion, seconds."
    )
    fallback_s: Seconds = Field(
        60.0, description="A series without evidence of completion is closed after so long, seconds."
    )
    drain_s: Seconds = Field(
        15.0, description="When the router ends, associations still open after so long are aborted, seconds."
    )
    tls: ListenerTLSSettings | None = Field(None, description="DICOM over TLS; without it there is none.")
    rules: Path | None = Field(
        None, description="Routing rules (YAML). Without one, the rules that ship with Nightjar."
    )
    low_disk_mb: int = Field(
        2048, ge=0, description="Below so much free space new instances are refused (0xA700), megabytes."
    )
    on_conflict: Literal["accept", "refuse"] = Field(
        "accept",
        description="Answer to other bytes under a known SOP Instance UID. They are kept and reported either way.",
    )


class StorageSettings(Section):
    path: Path | None = Field(None, description="Directory of instance bytes. Without one, data_dir/store.")
    s3: S3Settings | None = Field(None, description="Bucket of instance bytes instead of a directory.")

    @model_validator(mode="after")
    def _one_place(self) -> "StorageSettings":
        if self.path is not None and self.s3 is not None:
            raise ValueError("bytes go to a path or to s3, not to both")
        return self


class BackupSettings(Section):
    s3: S3Connection = Field(
        S3Connection(), description="Object store that `nightjar backup s3://BUCKET/...` means; often another one."
    )


class RetentionSettings(Section):
    images_days: int | None = Field(
        None,
        ge=7,
        description="`nightjar expire` removes the bytes of studies of which nothing arrived for so long, days; "
        "without it nothing is ever removed.",
    )


class InferenceSettings(Section):
    models: tuple[str, ...] = Field(("ich", "ais", "tumour", "enhance"), description="Models to serve.")
    models_dir: Path | None = Field(
        None, description="Folder of the models that `nightjar model add` brings; see docs/serving.md."
    )
    replicas: int = Field(1, ge=1, description="Replicas a model.")
    maximum_replicas: int | None = Field(
        None,
        ge=1,
        description="A Ray cluster may grow a model to so many replicas under load. Without one, it does not.",
    )
    threads: int = Field(2, ge=1, description="CPU threads of a replica's engine.")
    engine: Literal["auto", "onnxruntime", "openvino", "gpu", "tensorrt", "cuda"] = Field(
        "auto",
        description="What runs the networks; auto is OpenVINO where it can be loaded, else ONNX Runtime; gpu is "
        "TensorRT where it can be used, else ONNX Runtime on CUDA (cuda).",
    )
    gpus: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        {}, description="Share of a GPU for each replica of a model, by its name; models not named run on CPUs."
    )
    gpu_engine: Literal["gpu", "tensorrt", "cuda"] = Field(
        "gpu", description="What runs the networks of models with a GPU; gpu as above."
    )
    engine_cache: Path | None = Field(
        None, description="Folder where TensorRT keeps what it builds; without one, every replica builds anew."
    )
    cpu_when_gpu_full: bool = Field(
        True, description="The CPU answers what does not fit into the GPU's memory; its result says so."
    )
    timeout_s: Seconds = Field(120.0, description="An analysis that takes longer is tried again, seconds.")
    calibrations: tuple[Path, ...] = Field(
        (), description="Calibration files (YAML) of this site, at most one a model; see docs/evaluation.md."
    )
    ray_address: str | None = Field(
        None,
        description="Ray cluster (host:port) that serves the models; see `nightjar model serve-config`. Without one, a "
        "local Ray is started and serves them.",
    )
    serve_url: str | None = Field(
        None,
        description="Address at which a Ray cluster that this machine is no part of serves the models, as "
        "https://models.example/nightjar; instead of ray_address.",
    )
    serve_token: str | None = Field(
        None,
        repr=False,
        min_length=32,
        description="What the models behind serve_url ask for, 32 characters at least; better given by environment.",
    )
    serve_authorities: Path | None = Field(
        None,
        description="Certificates (PEM) of those who may sign that of serve_url; without a file, the authorities that "
        "everybody trusts.",
    )

    @field_validator("serve_url")
    @classmethod
    def _private_way(cls, address: str | None) -> str | None:
        if address is None:
            return None
        parts = urlsplit(address)
        host = parts.hostname or ""
        near = "." not in host or host.endswith((".svc", ".svc.cluster.local")) or host == "127.0.0.1"
        if not host or parts.scheme not in ("http", "https"):
            raise ValueError("the address begins with https:// or http:// and names a host")
        if parts.scheme == "http" and not near:
            raise ValueError("images leave the cluster: the address must begin with https://")
        return address.rstrip("/")

    @model_validator(mode="after")
    def _one_way(self) -> "InferenceSettings":
        if self.serve_url is not None and self.ray_address is not None:
            raise ValueError("ray_address and serve_url are two ways to the same models; set one")
        return self

    @model_validator(mode="after")
    def _known_gpus(self) -> "InferenceSettings":
        if unserved := sorted(set(self.gpus) - set(self.models)):
            raise ValueError(f"gpus names models that are not served: {', '.join(unserved)}")
        return self

    @model_validator(mode="after")
    def _growth(self) -> "InferenceSettings":
        if self.maximum_replicas is None:
            return self
        if self.ray_address is None and self.serve_url is None:
            raise ValueError("maximum_replicas is for a Ray cluster; set ray_address or serve_url too")
        if self.maximum_replicas < self.replicas:
            raise ValueError("maximum_replicas is below replicas")
        return self


class PromotionSettings(Section):
    """What a version must have shown beside the live one before `nightjar model promote` lets it serve."""

    studies: int = Field(100, ge=0, description="Studies that both versions answered, at least.")
    flagged: int = Field(10, ge=0, description="Studies among them that either flagged, at least.")
    flags_lost: float = Field(
        0.02, ge=0, le=1, description="Share of the live version's flags that may be missing, at most."
    )
    dice: float = Field(0.6, ge=0, le=1, description="Median overlap with the live version for each label, at least.")
    failures: float = Field(0.01, ge=0, le=1, description="Share of studies it may fail on, at most.")
    time_ratio: float = Field(1.5, gt=0, description="Median time relative to the live version's, at most.")
    experts: int = Field(0, ge=0, description="Studies among them with a mask that experts accepted, at least.")
    experts_margin: float = Field(
        0.02, ge=0, le=1, description="By how much its Dice against the experts may be below the live version's."
    )


Column = Literal[
    "priority", "waiting", "arrived", "preview", "patient", "accession", "study", "finding", "ai", "reader"
]


class WebSettings(Section):
    host: str = Field("127.0.0.1", description="Address the pages bind to.")
    port: Port = Field(8080, description="Port of the pages.")
    session_hours: float = Field(12.0, gt=0, description="A sign-in lasts so long, hours.")
    session_key_file: Path | None = Field(
        None,
        description="Secret that signs sign-ins, 32 characters at least; several web parts without a directory in "
        "common need one. Without it, data_dir keeps one of its own.",
    )
    sign_on: SignOnSettings | None = Field(
        None, description="Sign-in by the hospital's identity provider (OpenID Connect); see docs/operations.md."
    )
    secure_cookies: bool = Field(False, description="Send the session cookie over HTTPS only.")
    maximum_wait_minutes: float = Field(
        60.0, gt=0, description="A study waiting longer is promoted above its priority, minutes."
    )
    columns: tuple[Column, ...] = Field(
        ("priority", "waiting", "preview", "patient", "study", "finding", "ai", "reader"),
        description="The worklist's columns in their order; priority, patient and ai are always among them.",
    )
    preview_outlines: bool = Field(
        True, description="Outline findings in the worklist's pictures; each reader may change it with O."
    )

    pacs_url: str | None = Field(
        None,
        description="Address that opens a study in the PACS, with {study_uid}, {accession_number} or {patient_id} in "
        "it; without one there is no link.",
    )

    @field_validator("pacs_url")
    @classmethod
    def _usable_address(cls, address: str | None) -> str | None:
        if address is None:
            return None
        names = {name for _, name, _, _ in Formatter().parse(address) if name is not None}
        if not address.startswith(("https://", "http://")) or not names:
            raise ValueError("the address begins with https:// or http:// and names the study")
        if unknown := sorted(names - {"study_uid", "accession_number", "patient_id"}):
            raise ValueError(f"nothing is known to put in for {', '.join(unknown)}")
        return address

    @field_validator("columns")
    @classmethod
    def _complete_columns(cls, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        missing = [name for name in ("priority", "patient", "ai") if name not in columns]
        if missing:
            raise ValueError(f"the worklist cannot do without {' and '.join(missing)}")
        if len(set(columns)) < len(columns):
            raise ValueError("a column stands there twice")
        return columns


class ReviewSettings(Section):
    tasks: Path | None = Field(
        None,
        description="Directory of this site's task types (YAML); they replace those that ship with Nightjar by name, "
        "or add to them. See docs/review.md.",
    )


class MetricsSettings(Section):
    host: str = Field("127.0.0.1", description="Address of metrics and probes; they need no sign-in.")
    port: Port | None = Field(
        None,
        description="Port of /metrics, /healthz and /readyz; without one there are none. Embedded mode uses this one "
        "and the next four: router, worker, inference, web, metrics.",
    )


class LoggingSettings(Section):
    format: Literal["text", "json"] = Field("text", description="Log lines for people, or one JSON object a line.")


class TracingSettings(Section):
    endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^@\s]+$",
        description="OpenTelemetry collector (OTLP over HTTP) such as http://otel:4318; without one nothing is traced.",
    )


class DatasetSettings(Section):
    key_file: Path | None = Field(
        None, description="Secret for pseudonyms, UIDs and dates of what leaves the hospital; see docs/datasets.md."
    )


class WorkerSettings(Section):
    concurrency: int = Field(4, ge=1, description="Jobs a worker runs side by side.")
    heartbeat_s: Seconds = Field(2.0, description="A worker says so often that it lives, seconds.")
    stalled_s: Seconds = Field(8.0, description="A worker silent for so long is dead; its jobs run again, seconds.")
    delivery_attempts: int = Field(12, ge=1, description="Tries a delivery or notification before it is parked.")
    inference_attempts: int = Field(3, ge=1, description="Tries an analysis before it is failed.")


class Settings(BaseSettings):
    """Everything a site can set."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="NIGHTJAR_", env_nested_delimiter="__")

    data_dir: Path = Field(Path("var"), description="Where embedded mode keeps its database, bytes and logs.")
    institution: str = Field("", description="Institution Name written into results.")
    enhanced_grid: int = Field(
        1, ge=1, le=4, description="Pixels a side of an enhanced series, times the acquired; more are interpolated."
    )
    database: DatabaseSettings = DatabaseSettings()
    router: RouterSettings = RouterSettings()
    storage: StorageSettings = StorageSettings()
    backup: BackupSettings = BackupSettings()
    retention: RetentionSettings = RetentionSettings()
    inference: InferenceSettings = InferenceSettings()
    promotion: PromotionSettings = PromotionSettings()
    worker: WorkerSettings = WorkerSettings()
    web: WebSettings = WebSettings()
    review: ReviewSettings = ReviewSettings()
    datasets: DatasetSettings = DatasetSettings()
    metrics: MetricsSettings = MetricsSettings()
    logging: LoggingSettings = LoggingSettings()
    tracing: TracingSettings = TracingSettings()
    sources: tuple[Source, ...] = Field(
        (), description="Archives that images are fetched from, beside what is sent; see docs/operations.md."
    )
    destinations: tuple[Destination, ...] = Field((), description="Where results go.")
    archive: ArchiveSettings | None = Field(None, description="The PACS that everything is compared with.")
    audit_repository: AuditRepository | None = Field(
        None, description="Where every row of the audit trail is sent as well; see docs/operations.md."
    )
    notifications: tuple[Notification, ...] = Field((), description="Who is told of flags; see docs/notifications.md.")

    @model_validator(mode="after")
    def _unique_names(self) -> "Settings":
        for what in ("sources", "destinations", "notifications"):
            names = [entry.name for entry in getattr(self, what)]
            if doubles := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two {what} are called {', '.join(doubles)}")
        names = [destination.name for destination in self.destinations]
        if self.archive and self.archive.destination not in (None, *names):
            raise ValueError(f"archive.destination = {self.archive.destination}: no destination is called so")
        return self

    @property
    def store_path(self) -> Path:
        return self.storage.path or self.data_dir / "store"

    @property
    def database_url(self) -> str:
        """The ledger's URL.

        Raises:
            SettingsError: none is set; only embedded mode can do without.
        """
        if self.database.url is None:
            raise SettingsError("database.url is missing. Name a Postgres, or use `nightjar serve`, which starts one.")
        return self.database.url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def load_settings(path: Path | None) -> Settings:
    """Read the file and the environment.

    Raises:
        SettingsError: with one line for each thing that is wrong: setting, value, why.
    """
    values: Any = {}
    if path is not None:
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise SettingsError(f"--config {path}: {error.strerror}.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SettingsError(f"--config {path}: this is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"--config {path}: the file holds no settings by name.")
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError("\n".join(_describe(problem) for problem in error.errors())) from error


def _describe(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"]) or "configuration"
    if problem["type"] == "extra_forbidden":
        return f"{name}: unknown setting."
    if problem["type"] == "missing":
        return f"{name}: missing."
    shown = (
        "(hidden)"
        if name.endswith(("password", "secret", "token")) or not isinstance(problem["input"], str | int | float | bool)
        else problem["input"]
    )
    return f"{name} = {shown}: {problem['msg']}."
