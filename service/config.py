"""Configuration, parsed once into frozen values: flags, then VITRINE_* variables, then a YAML file, then defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from yaml import YAMLError

from service.core.errors import InvalidInput

Positive = Annotated[int, Field(gt=0)]
MIB = 2**20


class Config(BaseSettings):
    """Everything that can be set. Each field is also `VITRINE_<FIELD>` and a key of the YAML file."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_", frozen=True, extra="forbid")

    grpc: str = Field("127.0.0.1:50051", description="gRPC address, HOST:PORT; port 0 takes a free one")
    http: str = Field("127.0.0.1:8080", description="HTTP address of metrics, health and the twin of the API")
    models: Path = Field(Path("model/zoo"), description="folder of models: NAME/VERSION/model.onnx")

    redis: str | None = Field(
        None, description="URL of the Redis with the queue, for workers of their own; else the queue is in this process"
    )
    redis_password: SecretStr | None = Field(None, description="its password; wins over the one in the URL")
    redis_password_file: Path | None = Field(None, description="file with that password")

    tls_cert: Path | None = Field(None, description="PEM file with the server's certificate chain, for both ports")
    tls_key: Path | None = Field(None, description="PEM file with its private key")
    tls_client_ca: Path | None = Field(None, description="PEM file: clients must show a certificate that it signed")
    tls_client_scopes: Annotated[tuple[str, ...], NoDecode] = Field(
        ("infer", "jobs"), description="what such clients may do: infer,jobs,debug,admin"
    )
    certificates: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="PEM files whose expiry /metrics tells beside tls_cert's: those of a balancer in front"
    )
    keys: SecretStr | None = Field(None, description="API keys, hashed, as YAML (`vitrine keys new`)")
    keys_file: Path | None = Field(None, description="file with the API keys, hashed (`vitrine keys new` writes it)")
    jwt_keys: Path | None = Field(None, description="file with the public keys (JWKS) of who signs tokens")
    jwt_issuer: str = Field("", description="whose tokens count (claim iss)")
    jwt_audience: str = Field("", description="for whom they must be made (claim aud)")
    insecure: bool = Field(False, description="listen on a public address without TLS or without asking who calls")  # noqa: FBT003

    providers: Annotated[tuple[str, ...], NoDecode] = Field(
        ("auto",),
        description="execution providers in order of preference, with commas between (cuda,openvino,cpu), or auto",
    )
    precision: Literal["auto", "exact", "bf16", "fp16"] = Field(
        "auto", description="exact: fp32 only; auto: the fastest whose answers agree on the stored samples"
    )
    lanes: Positive | None = Field(None, description="threads that compute, for each model; measured when unset")
    intra_op_threads: Positive | None = Field(None, description="threads within one lane's session; measured if unset")
    batch: Positive | None = Field(None, description="largest batch of a lane; measured when unset")
    latency_ceiling_ms: float = Field(50.0, gt=0, description="settings whose batches take longer are not chosen")
    tuning_budget_s: float = Field(6.0, gt=0, description="time to measure settings in, for each model")
    tuning_cache: Path | None = Field(None, description="folder of measured settings; default: beside the model")

    routing_file: Path | None = Field(
        None, description="file of routings, without Redis; default: routing.yaml in data_dir, or else in models"
    )
    keep_versions: Positive = Field(2, description="newest versions of each model that are kept loaded")
    poll_s: float = Field(2.0, gt=0, description="seconds between two looks at the models folder")

    queue_entries: Positive = Field(4096, description="requests of one model version that may wait or run")
    queue_bytes: Positive = Field(256 * MIB, description="bytes of their pictures")
    max_image_bytes: Positive = Field(16 * MIB, description="bytes of one encoded picture")
    max_image_pixels: Positive = Field(64_000_000, description="pixels of one picture")
    max_image_side: Positive = Field(32_768, description="pixels of one side of a picture")
    max_message_bytes: Positive = Field(64 * MIB, description="bytes of one gRPC message, either way")
    max_batch_items: Positive = Field(1024, description="pictures in one ClassifyBatch call")
    max_stream_in_flight: Positive = Field(256, description="unanswered pictures of one ClassifyStream call")

    cache_bytes: int = Field(0, ge=0, description="memory for answers to pictures that are asked again; 0: no cache")
    cache_ttl_s: float = Field(300.0, gt=0, description="seconds that an answer is kept")
    cache_shared_bytes: int = Field(
        64 * MIB, ge=0, description="bytes of answers in Redis, which all front-ends with a cache share; 0: none"
    )

    prediction_share: float = Field(0.0, ge=0, le=1, description="share of requests that are logged, 0: none, 1: all")
    prediction_dir: Path | None = Field(
        None, description="folder of that log, without Redis; default: predictions in data_dir"
    )
    prediction_ttl_s: float = Field(3600.0, gt=0, description="seconds that a logged input is kept, to be replayed")
    prediction_bytes: Positive = Field(256 * MIB, description="bytes of all logged inputs that are kept")
    prediction_image_bytes: int = Field(2 * MIB, ge=0, description="bytes of one input that is kept with its record")

    introspection: bool = Field(True, description="answer what models saw, layer by layer (vitrine.v1.Introspection)")  # noqa: FBT003
    introspection_threads: Positive = Field(2, description="questions about the inside that are worked on at once")
    introspection_waiting: int = Field(8, ge=0, description="more of them that may wait")
    introspection_per_minute: Positive = Field(1200, description="questions of one caller in a minute")
    introspection_answer_bytes: Positive = Field(256 * MIB, description="bytes of one answer")
    introspection_tensor_bytes: Positive = Field(128 * MIB, description="bytes of tensors that one question holds")
    tap_bytes: Positive = Field(64 * MIB, description="bytes of the cut models that introspection keeps open")
    picture_bytes: Positive = Field(64 * MIB, description="bytes of the pictures that introspection keeps by id")
    picture_ttl_s: float = Field(600.0, gt=0, description="seconds that such a picture is kept after its last use")

    drift_share: float = Field(
        0.0, ge=0, le=1, description="share of answered pictures whose activations are compared with those of export"
    )
    drift_window: int = Field(500, ge=50, le=10_000, description="newest of these pictures that are compared")
    drift_layers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="layers that are looked at, 16 at most: names, or patterns with * and **; 4 when unset"
    )

    data_dir: Path | None = Field(None, description="folder that keeps durable jobs, where no Redis does")
    job_bytes: Positive = Field(1024 * MIB, description="bytes of the inputs of jobs that may wait for their results")
    job_durability: Literal["fsynced", "written", "any"] = Field(
        "fsynced", description="jobs are refused where Redis would keep them less well: appendfsync always is fsynced"
    )

    max_connections: Positive = Field(4096, description="connections to each port; what comes beyond is closed")
    max_streams: Positive = Field(1024, description="calls at once on one gRPC connection; more wait at the client")
    request_timeout_s: float = Field(60.0, gt=0, description="seconds in which an HTTP request must arrive whole")
    keepalive_s: float = Field(60.0, gt=0, description="seconds after which a silent gRPC client is pinged")
    max_connection_age_s: float = Field(
        0.0, ge=0, description="seconds after which a gRPC client is asked to connect anew, to be balanced; 0: never"
    )
    max_connection_grace_s: float = Field(300.0, ge=0, description="seconds that its calls in flight may take then")
    job_root: Path | None = Field(None, description="folder of pictures that jobs may name as file:///PATH")
    job_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="hosts of https:// pictures of jobs: example.org, *.example.org, example.org:8443"
    )
    job_buckets: Annotated[tuple[str, ...], NoDecode] = Field((), description="buckets of s3:// and gs:// pictures")
    job_private: bool = Field(False, description="let job_hosts have private addresses; never metadata services")  # noqa: FBT003

    otlp_endpoint: str | None = Field(
        None, description="http://HOST:PORT of an OpenTelemetry collector (OTLP by gRPC) that is sent traces"
    )
    trace_ratio: float = Field(
        1.0, ge=0, le=1, description="share of calls that are traced where the caller has not decided it"
    )
    linger_s: float = Field(
        0.25, ge=0, description="seconds after SIGTERM in which calls are answered while health says NOT_SERVING"
    )
    grace_s: float = Field(30.0, ge=0, description="seconds for what is in flight after SIGTERM")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    log_requests_per_s: int = Field(100, ge=0, description="lines of single requests in a second (info); 0: none")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal")

    @field_validator(
        "providers", "job_hosts", "job_buckets", "tls_client_scopes", "certificates", "drift_layers", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("grpc", "http")
    @classmethod
    def _address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise ValueError("must be HOST:PORT with a port of 0 to 65535")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the YAML file that `parse` names."""
        return init_settings, env_settings


class WorkerConfig(Config):
    """What a worker can be told beside all that."""

    # Several workers share a host: a port that is taken by another one is no default.
    http: str = Field("127.0.0.1:0", description="HTTP address of metrics and health, HOST:PORT; port 0: a free one")
    model: Annotated[tuple[str, ...], NoDecode] = Field((), description="names of the models to serve; all when unset")
    stuck_s: float = Field(5.0, gt=0, description="least age in seconds at which a batch counts as stuck")
    stuck_factor: float = Field(10.0, ge=1, description="times its model's p99 that a batch may take before that")

    @field_validator("model", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


Parsed = TypeVar("Parsed", bound=Config)


def parse(flags: dict[str, Any], file: Path | None = None) -> Config:
    """The configuration from given `flags`, the environment and `file`; raises `InvalidInput` naming the field."""
    return parse_as(Config, flags, file)


class _File(YamlConfigSettingsSource):
    """A YAML file, without the options of other commands that it may hold (`service.cli.defaults`)."""

    def __call__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__call__().items() if name != "commands"}


def parse_as(kind: type[Parsed], flags: dict[str, Any], file: Path | None = None) -> Parsed:
    """Like `parse`, for one role's configuration."""

    class _FromFile(kind):  # type: ignore[valid-type, misc]
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            ahead = super().settings_customise_sources(settings_cls, *sources, **named)
            return (*ahead, _File(settings_cls, yaml_file=file))

    if file is not None and not file.is_file():
        raise InvalidInput("config", "must be a YAML file", file)
    try:
        return (_FromFile if file else kind)(**flags)
    except YAMLError as error:
        raise InvalidInput("config", f"{file} must be YAML", error) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInput(".".join(str(part) for part in first["loc"]), first["msg"], repr(first["input"])) from None


def host_and_port(address: str) -> tuple[str, int]:
    """("127.0.0.1", 8080) for "127.0.0.1:8080"; brackets of an IPv6 host are taken off."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
