"""Every key of the settings, described where it is declared: `docs/settings.md` is generated from these descriptions."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from stream.config.section import Name, Polygon, Section, Topic, with_secret, without_empty

PREFIX = "SEESTREAM__"


def default_data_dir() -> Path:
    """`$XDG_DATA_HOME/seestream`, or `~/.local/share/seestream`: what every command uses without a settings file."""
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "seestream"


class Kafka(Section):
    bootstrap: str = Field(
        "embedded", description="host:port of the brokers, or `embedded` for the one in this process"
    )
    frames: Topic = Field("frames", description="topic of live pictures")
    files: Topic = Field("files", description="topic of file events")
    detections: Topic = Field("detections", description="topic of observations")
    alerts: Topic = Field("alerts", description="topic of alerts")
    dead_letters: Topic = Field("dead-letters", description="topic of records that cannot be processed")
    ledger: Topic = Field("ledger", description="topic that accounts for every offset")
    partitions: int = Field(12, ge=1, le=1000, description="partitions of the input topics when seestream creates them")
    replication: int = Field(1, ge=1, le=10, description="replicas of the topics when seestream creates them")
    group: str = Field("seestream", description="prefix of the groups (PREFIX-live, PREFIX-uploads, PREFIX-backfill)")
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field("PLAINTEXT", description="protocol")
    username: str | None = Field(None, description="SASL user")
    password: SecretStr | None = Field(None, description="SASL password (or `password_file`)")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("PLAIN", description="SASL mechanism")
    ca: Path | None = Field(None, description="PEM file of the authority that signed the brokers' certificates")
    attempts: int = Field(5, ge=1, description="crashes of the process on one record before it becomes a dead letter")

    @model_validator(mode="before")
    @classmethod
    def _read_secret(cls, data: Any) -> Any:
        return with_secret(dict(data), "password") if isinstance(data, dict) else data

    @field_validator("bootstrap")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not value.strip() or "/" in value:
            raise ValueError(f"must be host:port, or several by comma, without a scheme, not {value!r}")
        return value

    @property
    def topics(self) -> list[str]:
        """All that are named here."""
        return [self.frames, self.files, self.detections, self.alerts, self.dead_letters, self.ledger]

    @model_validator(mode="after")
    def _one_topic_for_each(self) -> Self:
        for name, times in Counter(self.topics).items():
            if times > 1:
                raise ValueError(f"the topic {name!r} is named {times} times: each purpose needs its own")
        return self


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
        return with_secret(dict(data), "api_key") if isinstance(data, dict) else data


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

    @model_validator(mode="after")
    def _some_size_is_left(self) -> Self:
        if self.min_size > self.max_size:
            raise ValueError(f"min_size {self.min_size:g} is above max_size {self.max_size:g}: no object would count")
        return self


class CameraSettings(Section):
    name: Name = Field(description="the source's name on every topic")
    url: SecretStr = Field(description="rtsp://, http:// or a video file; its password is never printed")
    fps: float = Field(5, gt=0, le=60, description="frames a second to publish")
    loop: bool = Field(False, description="a file starts again at its end")
    quality: int = Field(85, ge=1, le=100, description="JPEG quality")
    zones: tuple[Polygon, ...] = Field((), description="polygons (0 to 1) where motion counts; none: everywhere")
    masks: tuple[Polygon, ...] = Field((), description="polygons (0 to 1) where motion never counts")
    priority: float = Field(1, gt=0, description="weight of this camera when the load is too high for all")


class FolderSettings(Section):
    path: Path = Field(description="folder to watch")
    source: Name = Field("uploads", description="the source's name on every topic")
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
    probe_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="port of `/healthz`, `/readyz` and `/metrics` in a process without the role `web`; unset: none",
    )


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
    in_flight_mb: int = Field(
        256,
        ge=1,
        description="memory for frames on their way to the models, for each of live frames, uploads and back-fill",
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, data: Any) -> Any:
        return without_empty(data, cls)

    @field_validator("rules", mode="before")
    @classmethod
    def _rules_or_their_file(cls, value: Any) -> Any:
        if isinstance(value, (str, Path)) or (
            isinstance(value, (list, tuple)) and all(isinstance(r, dict) for r in value)
        ):
            return value
        raise ValueError("must be a list of rules, each a mapping, or the path of a YAML file with them")

    @model_validator(mode="after")
    def _cameras_have_names_of_their_own(self) -> Self:
        for name, times in Counter(camera.name for camera in self.cameras).items():
            if times > 1:
                raise ValueError(f"cameras: {times} are named {name!r}: their pictures would be taken for one camera's")
        return self

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
