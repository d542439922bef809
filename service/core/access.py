"""Who may do what, and how much of it: scopes, callers, and the pace that each is held to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from service.core.errors import Forbidden, InvalidInput, Overloaded, Reason

#: A caller at its limit is not asked to come again sooner than this, in seconds.
_LEAST_RETRY_S = 0.05
#: When to come back where calls of one's own must end first, in seconds.
_CALLS_END_S = 0.5


class Scope(StrEnum):
    """What a caller may be allowed to do."""

    INFER = "infer"  #: classify, and see which models there are
    JOBS = "jobs"  #: durable jobs
    DEBUG = "debug"  #: look into models; feature maps show what was in a picture
    ADMIN = "admin"  #: load and unload models


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a caller may ask for: calls and bytes per second, and calls at once. Infinite unless said."""

    requests_per_s: float = inf
    bytes_per_s: float = inf
    concurrent: float = inf

    def __post_init__(self) -> None:
        for name in ("requests_per_s", "bytes_per_s", "concurrent"):
            if not getattr(self, name) > 0:
                raise InvalidInput(name, "must be positive", getattr(self, name))

    @property
    def limited(self) -> bool:
        """Whether there is anything to count."""
        return self != Allowance()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who proved who they are, by a key, a token or a certificate; `name` is what logs call them."""

    name: str
    scopes: frozenset[Scope]
    allowance: Allowance = field(default_factory=Allowance)

    def require(self, scope: Scope | None) -> None:
        """Raise `Forbidden` unless this is within what the caller may do; None is allowed to everybody."""
        if scope is not None and scope not in self.scopes:
            held = ", ".join(sorted(self.scopes)) or "none"
            raise Forbidden(f"this needs the scope {scope.value!r}; {self.name!r} has: {held}")


#: Everybody, where nobody is asked who they are.
ANYONE = Caller("anonymous", frozenset(Scope))
#: Somebody who did not say who they are, where that is asked: may call what needs no scope.
NOBODY = Caller("anonymous", frozenset())


def scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Scopes by their names; raises `InvalidInput` for one that there is not."""
    wanted = set(names)
    if unknown := wanted.difference(Scope):
        raise InvalidInput("scopes", f"must be of {', '.join(Scope)}", ", ".join(sorted(unknown)))
    return frozenset(map(Scope, wanted))


_SERVICES: Mapping[str, Scope | None] = {
    "grpc.health.v1.Health": None,  # load balancers have no keys
    "grpc.reflection.v1.ServerReflection": Scope.INFER,
    "grpc.reflection.v1alpha.ServerReflection": Scope.INFER,
    "inference.GRPCInferenceService": Scope.INFER,
    "vitrine.v1.Classifier": Scope.INFER,
    "vitrine.v1.Introspection": Scope.DEBUG,
    "vitrine.v1.Jobs": Scope.JOBS,
    "vitrine.v1.Models": Scope.INFER,
    "vitrine.v1.Predictions": Scope.DEBUG,
}
_CHANGES_SERVER = frozenset(
    {
        "inference.GRPCInferenceService/LogSettings",
        "inference.GRPCInferenceService/RepositoryModelLoad",
        "inference.GRPCInferenceService/RepositoryModelUnload",
        "inference.GRPCInferenceService/TraceSetting",
        "vitrine.v1.Models/Load",
        "vitrine.v1.Models/RollBackRouting",
        "vitrine.v1.Models/SetRouting",
        "vitrine.v1.Models/Unload",
    }
)


def scope_of_call(method: str) -> Scope | None:
    """What a gRPC method, "/package.Service/Method", asks of its caller: `ADMIN` where it is not known."""
    path = method.lstrip("/")
    return Scope.ADMIN if path in _CHANGES_SERVER else _SERVICES.get(path.partition("/")[0], Scope.ADMIN)


_OPEN_PATHS = frozenset(
    {"/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/v2", "/v2/health/live", "/v2/health/ready"}
)
_DEBUG_WORDS = frozenset({"layers", "features", "explain", "attribute", "diagnose", "compare", "profile"})


def scope_of_path(path: str) -> Scope | None:
    """What a path of the HTTP port asks of its caller: `ADMIN` where it is not known."""
    parts = path.strip("/").split("/")
    if path in _OPEN_PATHS:
        return None
    if parts[:2] == ["v1", "images"] or (parts[:2] == ["v1", "models"] and _DEBUG_WORDS.intersection(parts[3:])):
        return Scope.DEBUG
    changes_server = parts[:2] == ["v2", "repository"] and parts[-1] in {"load", "unload"}
    return Scope.INFER if parts[:2] == ["v1", "models"] or (parts[0] == "v2" and not changes_server) else Scope.ADMIN


def pace(due_s: float, cost_s: float, now_s: float, burst_s: float = 1.0) -> tuple[float, float]:
    """The generic cell rate algorithm (ITU-T I.371): when the next unit is due, and how long to wait, in seconds.

    `cost_s` is the amount over the rate. A caller may be `burst_s` ahead of its rate; an amount that costs more than
    that passes alone, after a rest. With a wait above 0 nothing was taken.
    """
    due_s = max(due_s, now_s)
    wait_s = due_s + min(cost_s, burst_s) - now_s - burst_s
    return (due_s, wait_s) if wait_s > 0 else (due_s + cost_s, 0.0)


def too_fast(caller: Caller, wait_s: float, reason: Reason) -> Overloaded:
    """Why a call of this caller is shed, and when the next one may come; 0 where nobody knows how long calls take."""
    wait_s = wait_s or _CALLS_END_S
    allowed = caller.allowance
    limits = {
        Reason.CALLER_RATE: f"at most {allowed.requests_per_s:g} requests per second",
        Reason.CALLER_BYTES: f"at most {allowed.bytes_per_s:g} bytes per second",
        Reason.CALLER_CONCURRENCY: f"at most {allowed.concurrent:g} calls at once",
    }
    message = f"{caller.name}: {limits[reason]}, which is reached; try again in {wait_s:.2f} s"
    return Overloaded(reason, message, max(wait_s, _LEAST_RETRY_S))


def is_address(host: str) -> bool:
    """Whether a host is given by its IP address, and not by a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host, by address or name, is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
