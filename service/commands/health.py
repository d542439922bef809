"""`vitrine health`: a probe for whoever watches over a process, by the protocol that its balancer uses too."""

from __future__ import annotations

import urllib.error
import urllib.request

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.core.errors import InvalidInput


def grpc_state(server: str, service: str, timeout_s: float) -> tuple[bool, str]:
    """Whether `server` serves `service` ("" for all of it), as grpc.health.v1 tells, and its word for that."""
    with grpc.insecure_channel(server) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its stubs lack the methods
        try:
            reply = check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_s)
        except grpc.RpcError as error:
            return False, f"{error.code().name}: {error.details()}"
    word = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    return reply.status == health_pb2.HealthCheckResponse.SERVING, word


def http_state(url: str, timeout_s: float) -> tuple[bool, str]:
    """Whether a worker, which has no gRPC port, is ready, as its `/readyz` tells, and what it says."""
    if not url.startswith(("http://", "https://")):
        raise InvalidInput("http", "must be an http:// or https:// URL", url)
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as reply:  # noqa: S310 - http and https only
            return True, reply.read().decode().strip()
    except urllib.error.HTTPError as error:
        return False, error.read().decode().strip()
    except OSError as error:
        return False, str(error)
