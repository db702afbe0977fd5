"""Settings: one YAML file, every key overridable by environment (`SEESTREAM__KAFKA__BOOTSTRAP`), secrets never printed.

Only `app` reads this module; rooms take plain arguments. A key that does not exist is an error that names the nearest
known one. One list, so one file, although it is long. Every field is described where it is declared;
`docs/settings.md` is generated from these descriptions.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stream.errors import Misconfigured

PREFIX = "SEESTREAM__"


def default_data_dir() -> Path:
    """`$XDG_DATA_HOME/seestream`, or `~/.local/share/seestream`: what every command uses without a settings file."""
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "seestream"


class Section(BaseModel):
    """A part of the settings: unknown keys are errors, values cannot be changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _secret(section: dict[str, Any], key: str) -> dict[str, Any]:
    """`KEY_file` names a file whose content is the secret, as Docker and Kubernetes mount them."""
    path = section.pop(f"{key}_file", None)
    if path and not section.get(key):
        try:
            section[key] = Path(path).expanduser().read_text().strip()
        except OSError as error:
            raise Misconfigured(f"{key}_file: cannot read {path}: {error.strerror}") from error
    return section


class Kafka(Section):
    bootstrap: str = Field(
        "embedded", description="host:port of the brokers, or `embedded` for the one in this process"
    )
    frames: str = Field("frames", description="topic of live pictures")
    files: str = Field("files", description="topic of file events")
    detections: str = Field("detections", description="topic of observations")
    alerts: str = Field("alerts", description="topic of alerts")
    dead_letters: str = Field("dead-letters", description="topic of records that cannot be processed")
    ledger: str = Field("ledger", description="topic that accounts for every offset")
    partitions: int = Field(12, ge=1, le=1000, description="partitions of the input topics when seestream creates them")
    replication: int = Field(1, ge=1, le=10, description="replicas of the topics when seestream creates them")
    group: str = Field("seestream", description="prefix of the consumer groups (PREFIX-live, PREFIX-uploads)")
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field("PLAINTEXT", description="protocol")
    username: str | None = Field(None, description="SASL user")
    password: SecretStr | None = Field(None, description="SASL password (or `password_file`)")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("PLAIN", description="SASL mechanism")
    ca: Path | None = Field(None, description="PEM file of the authority that signed the brokers' certificates")
    attempts: int = Field(3, ge=1, description="crashes of the process on one record before it becomes a dead letter")

    @model_validator(mode="before")
    @classmethod
    def _read_secret(cls, data: Any) -> Any:
        return _secret(dict(data), "password") if isinstance(data, dict) else data


class StoreSettings(Section):
    url: str = Field(
        "sqlite://", description="`sqlite://` (in the data folder), `sqlite:///PATH`, or Weaviate's http(s) URL"
    )
    grpc_port: int = Field(50051, description="Weaviate's gRPC port")
    collection: str = Field("Observation", description="Weaviate: prefix of the collections and their alias")
    api_key: SecretStr | None = Field(None, description="Weaviate's key (or `api_key_file`)")
    vectors: bool = Field(True, description="keep vectors, so that the store can be searched by description")

    @model_validator(mode="before")
    @classmethod
    def _read_secret(cls, data: Any) -> Any:
        return _secret(dict(data), "api_key") if isinstance(data, dict) else data


class ModelSettings(Section):
    describe: Path | None = Field(None, description="folder of a Florence-2 export; unset: the bundled demo model")
    embed: Path | None = Field(None, description="folder of a SigLIP or CLIP export; unset: the bundled demo model")
    provider: Literal["auto", "cuda", "cpu"] = Field("auto", description="where models run")
    precision: Literal["auto", "fp32", "fp16", "int8"] = Field("auto", description="which files of the export are used")
    threads: int = Field(0, ge=0, description="CPU threads of one model call; 0: one for each core")
    max_batch: int | None = Field(
        None,
        ge=1,
        le=256,
        description="most frames in a micro-batch; unset: 32 on a GPU, 1 on a CPU, where more is slower",
    )
    max_wait_ms: float = Field(5, ge=0, description="how long a frame waits for others to share its batch")
    deadline_s: float = Field(120, gt=0, description="a model call that takes longer ends the process as unhealthy")
    tasks: tuple[str, ...] = Field(
        ("<OD>", "<CAPTION>", "<OCR_WITH_REGION>"), description="Florence-2 tasks of each look"
    )


class GateOptions(Section):
    enabled: bool = Field(True, description="off: every frame is looked at")
    interval_s: float = Field(60, ge=0, description="a heartbeat look at least every so many seconds; 0: never")
    min_size: float = Field(0.0, ge=0, le=1, description="smallest object, as a share of the picture's area")
    max_size: float = Field(1.0, gt=0, le=1, description="largest object, as a share of the picture's area")


class CameraSettings(Section):
    name: str = Field(description="the source's name on every topic")
    url: SecretStr = Field(description="rtsp://, http:// or a video file; its password is never printed")
    fps: float = Field(5, gt=0, le=60, description="frames a second to publish")
    loop: bool = Field(False, description="a file starts again at its end")
    quality: int = Field(85, ge=1, le=100, description="JPEG quality")
    zones: tuple[tuple[tuple[float, float], ...], ...] = Field(
        (), description="polygons (0 to 1) where motion counts; none: everywhere"
    )
    masks: tuple[tuple[tuple[float, float], ...], ...] = Field(
        (), description="polygons (0 to 1) where motion never counts"
    )
    priority: float = Field(1, gt=0, description="weight of this camera when the load is too high for all")


class FolderSettings(Section):
    path: Path = Field(description="folder to watch")
    source: str = Field("uploads", description="the source's name on every topic")
    poll: bool = Field(False, description="poll instead of waiting for events: for NFS and SMB mounts")
    existing: bool = Field(True, description="take what lies there already at start")


class Sampling(Section):
    max_age_s: float = Field(30, gt=0, description="live frames older than this are shed")
    floor_fps: float = Field(0.1, gt=0, description="looks a second every camera keeps under any load")
    novelty: float = Field(
        0.95, ge=0, le=1, description="cosine above which a frame shows nothing new; 1 describes every frame"
    )
    describe_always: bool = Field(False, description="caption every admitted frame, new or not")
    every_s: float = Field(2, gt=0, description="video files: a frame at least every so many seconds")
    detect: Literal["always", "novel"] = Field(
        "always", description="objects and text: of every admitted frame, or only of one that shows something new"
    )
    backfill: bool = Field(False, description="when idle, look at shed frames that are still on the topic")
    backfill_hours: float = Field(6, gt=0, description="how far back frames are back-filled")


class Age(Section):
    max_age_days: float = Field(30, gt=0, description="older ones are deleted")
    max_gb: float = Field(20, gt=0, description="the oldest ones are deleted above this size")


class RetentionSettings(Section):
    snapshots: Age = Field(Age(), description="pictures of what was seen")
    observations: Age = Field(Age(max_age_days=365, max_gb=20), description="rows of the store")
    blobs: Age = Field(Age(max_age_days=1, max_gb=5), description="payloads by reference")


class Web(Section):
    host: str = Field("127.0.0.1", description="address of the page and the HTTP API")
    port: int = Field(8765, ge=0, le=65535, description="its port; 0: a free one")


class Settings(BaseSettings):
    """The whole file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, case_sensitive=False
    )

    data_dir: Path = Field(
        default_factory=default_data_dir,
        validation_alias=AliasChoices("data_dir", PREFIX + "DATA_DIR"),
        description="where state, snapshots and the embedded store live",
    )
    kafka: Kafka = Field(Kafka(), description="the brokers and topics")
    store: StoreSettings = Field(StoreSettings(), description="where observations can be searched")
    models: ModelSettings = Field(ModelSettings(), description="what looks at the pictures")
    gate: GateOptions = Field(GateOptions(), description="what is worth a look")
    sampling: Sampling = Field(Sampling(), description="how much is looked at under load")
    cameras: tuple[CameraSettings, ...] = Field((), description="cameras to capture")
    folders: tuple[FolderSettings, ...] = Field((), description="folders to watch")
    roots: tuple[str, ...] = Field(
        (),
        description="folders or URLs (s3://bucket/prefix) below which file events may point; watched folders always are",
    )
    blobs: str | None = Field(None, description="fsspec URL for payloads by reference; unset: in the data folder")
    rules: tuple[dict[str, Any], ...] | Path = Field(
        (), description="alert rules, or the path of a YAML file with them"
    )
    retention: RetentionSettings = Field(RetentionSettings(), description="how long things are kept")
    web: Web = Field(Web(), description="the page and the API")
    decode_workers: int = Field(2, ge=1, le=64, description="decoding threads a traffic class")
    in_flight_mb: int = Field(256, ge=1, description="memory for events that were fetched and are not settled")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        return env_settings, init_settings


def load(path: Path | None = None, **overrides: Any) -> Settings:
    """Settings from a YAML file (or only defaults and environment), with `overrides` for top-level keys.

    Raises: Misconfigured with one line for each fault, naming the key and, for an unknown key, the nearest known one.
    """
    data: Any = {}
    if path is not None:
        try:
            data = yaml.safe_load(path.read_text()) or {}
        except OSError as error:
            raise Misconfigured(f"cannot read the settings file {path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
        if not isinstance(data, dict):
            raise Misconfigured(f"{path} must be a mapping of settings, not a {type(data).__name__}")
    try:
        return Settings(**{**data, **{key: value for key, value in overrides.items() if value is not None}})
    except ValidationError as error:
        where = str(path) if path else "settings"
        raise Misconfigured("\n".join(f"{where}: {line}" for line in _explain(error))) from error


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        keys = [str(part) for part in fault["loc"]]
        name = ".".join(keys)
        if fault["type"] == "extra_forbidden":
            known = _fields(keys[:-1])
            near = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
            lines.append(f"unknown key {name!r}; {hint}")
        else:
            lines.append(f"{name}: {fault['msg']}")
    return lines


def _fields(keys: list[str]) -> list[str]:
    """Names of the keys that exist at a place in the settings; list positions are skipped."""
    model: Any = Settings
    for key in keys:
        if key.isdigit() or model is None:
            continue
        field = model.model_fields.get(key)
        model = section_of(field.annotation) if field else None
    if model is None:
        return []
    return list(model.model_fields)


def section_of(annotation: Any) -> Any:
    """The `Section` inside an annotation such as `tuple[CameraSettings, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := section_of(part))), None)
