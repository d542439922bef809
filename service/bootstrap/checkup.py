"""What `vitrine doctor` looks at: whether this configuration would serve on this machine, and what to mend."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from pydantic import Field

from service.bootstrap.guards import guards
from service.bootstrap.parts import certificates
from service.bootstrap.redis_server import redis_server
from service.bootstrap.traces import traces
from service.client import AsyncClient, ModelInfo, Retry
from service.client.probe import grpc_state
from service.config import Config, host_and_port
from service.core.errors import Forbidden, Refused, ServiceError, Unauthenticated
from service.core.messages import ModelKey
from service.engine.providers import choose
from service.engine.runtime import installed_runtime
from service.engine.store import ModelStore
from service.queues import redis_checks
from service.queues.redis_link import Link
from service.security.pacing import LocalPacing

Level = Literal["ok", "warning", "error"]

_SOON = timedelta(days=30)
_SCARCE_BYTES = 2**30
#: Deadlines are carried as time that is left, so that clocks matter for logs, traces and tokens only.
_SKEW_S = 2.0
_PATIENCE_S = 5.0


class DoctorConfig(Config):
    """What a server is told, and which one already runs."""

    server: str | None = Field(
        None,
        description="gRPC address of a running server, to be asked as well (with VITRINE_TLS, VITRINE_API_KEY)",
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` says what to do about it."""

    level: Level
    subject: str
    message: str
    mend: str = ""


async def examine(config: DoctorConfig) -> AsyncIterator[Finding]:
    """Look at everything that this configuration needs, one thing after the other."""
    for look in (_access, _runtime, _models, _certificates, _ports, _disks):
        for finding in await asyncio.to_thread(_guarded, look, config):
            yield finding
    for ask in (_redis, _server):
        async for finding in ask(config):
            yield finding


def _guarded(look: Callable[[DoctorConfig], Iterator[Finding]], config: DoctorConfig) -> Sequence[Finding]:
    """What was found, with whatever ended the search as its last finding."""
    found: list[Finding] = []
    try:
        found.extend(look(config))
    except ServiceError as error:
        found.append(Finding("error", look.__name__.strip("_"), str(error)))
    return found


def _access(config: DoctorConfig) -> Iterator[Finding]:
    guarded = guards(config, LocalPacing())
    traces(config, "doctor")
    asked = "callers say who they are" if guarded.gate else "nobody is asked who calls"
    yield Finding("ok", "access", f"{'TLS' if guarded.tls else 'no TLS'}; {asked}")


def _runtime(config: DoctorConfig) -> Iterator[Finding]:
    if config.redis:
        return  # a front-end computes nothing
    runtime = installed_runtime()
    import onnxruntime  # noqa: PLC0415 - not before it is known to be installed

    offered = onnxruntime.get_available_providers()
    chosen = choose("auto" if config.providers == ("auto",) else config.providers, offered)
    yield Finding("ok", "runtime", f"{runtime}: {', '.join(offered)}; tried in this order: {', '.join(chosen.names)}")


def _models(config: DoctorConfig) -> Iterator[Finding]:
    if config.redis and "models" not in config.model_fields_set:
        return
    store = ModelStore(config.models)
    keys = [ModelKey(name, number) for name, numbers in store.versions().items() for number in numbers]
    for key in keys:
        try:
            digest = store.open(key).digest
        except ServiceError as error:
            yield Finding("error", f"model {key}", str(error), "publish it anew; files must not be changed in place")
        else:
            yield Finding("ok", f"model {key}", f"digest {digest[:12]} as in its manifest")
    if not keys:
        yield Finding("error", "models", f"{config.models} holds no NAME/VERSION/model.onnx", "publish one there")


def _certificates(config: DoctorConfig) -> Iterator[Finding]:
    for file in (*certificates(config), *([config.tls_client_ca] if config.tls_client_ca else [])):
        yield _certificate(file)


def _certificate(file: Path) -> Finding:
    subject = f"certificate {file}"
    try:
        expiry = x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError) as error:
        return Finding("error", subject, f"cannot be read: {error}")
    left = expiry - datetime.now(UTC)
    told = f"good until {expiry:%Y-%m-%d}"
    if left < timedelta():
        return Finding("error", subject, f"expired on {expiry:%Y-%m-%d}", "renew it; a running server reads it again")
    return Finding("warning", subject, told, "renew it soon") if left < _SOON else Finding("ok", subject, told)


def _ports(config: DoctorConfig) -> Iterator[Finding]:
    for field in ("grpc", "http"):
        address: str = getattr(config, field)
        host, port = host_and_port(address)
        try:
            socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
        except OSError as error:
            # Where a server is asked as well, it is most likely the one that listens there.
            level: Level = "warning" if config.server else "error"
            yield Finding(level, f"port {field}", f"{address}: {error.strerror}", f"stop what listens, or --{field}")
        else:
            yield Finding("ok", f"port {field}", f"{address} is free")


def _disks(config: DoctorConfig) -> Iterator[Finding]:
    for folder in (config.models, config.data_dir):
        if folder is not None and folder.exists():
            free = shutil.disk_usage(folder).free
            told = f"{free / 2**30:.1f} GiB free"
            scarce = free < _SCARCE_BYTES
            yield Finding("warning" if scarce else "ok", f"disk of {folder}", told, "make room" if scarce else "")


async def _redis(config: DoctorConfig) -> AsyncIterator[Finding]:
    if config.redis is None:
        return
    try:
        server = redis_server(config)
        findings = await redis_checks.check(server, jobs=False)
        async with Link(server) as link:
            asked = time.time()
            seconds, micros = await link.send("TIME")
            skew = int(seconds) + int(micros) / 1e6 - (asked + time.time()) / 2
    except ServiceError as error:
        yield Finding(
            "error", "redis", str(error), "" if isinstance(error, Refused) else "is the URL right, and it up?"
        )
        return
    if config.job_durability == "fsynced":
        try:
            await redis_checks.check(server, jobs=True)
        except Refused as error:
            yield Finding("warning", "redis jobs", f"jobs are refused: {error}", "or --job-durability any")
    for finding in findings:
        yield Finding("warning", f"redis {finding.setting}", f"{finding.value}: {finding.why}", finding.mend)
    if not findings:
        yield Finding("ok", "redis", "its settings lose no work")
    wrong = abs(skew) > _SKEW_S
    mend = "run NTP on both hosts: logs, traces and tokens need it" if wrong else ""
    yield Finding("warning" if wrong else "ok", "clock", f"{skew:+.3f} s from that of Redis", mend)


async def _server(config: DoctorConfig) -> AsyncIterator[Finding]:
    if config.server is None:
        return
    subject = f"server {config.server}"
    try:
        serving, word = await grpc_state(config.server, "", _PATIENCE_S)
        yield Finding("ok" if serving else "error", subject, word, "" if serving else _unwell(word))
        if ":" not in word:  # it answered: what it serves tells why it does or does not
            async with AsyncClient(config.server, timeout_s=_PATIENCE_S, retry=Retry(budget_s=0)) as client:
                found = await client.models()
            for finding in _served(subject, found):
                yield finding
    except (Unauthenticated, Forbidden) as error:
        yield Finding("error", subject, str(error), "VITRINE_API_KEY: a key with the scope infer")
    except ServiceError as error:
        yield Finding("error", subject, str(error))


def _served(subject: str, found: Sequence[ModelInfo]) -> Iterator[Finding]:
    """The versions that answer, and those that should."""
    ready = [f"{one.name}:{one.version}" for one in found if one.state == "ready"]
    yield Finding("ok" if ready else "error", f"{subject} models", f"ready: {', '.join(ready) or 'none'}")
    for one in found:
        if one.state == "failed":
            yield Finding("error", f"{subject} model {one.name}:{one.version}", one.reason, "publish it anew")


def _unwell(word: str) -> str:
    if word.startswith("UNAVAILABLE"):
        return "is it up? with TLS, VITRINE_TLS must name whom to trust (a PEM file, or system)"
    return "its /readyz says why"
