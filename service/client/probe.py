"""Whether a process may be sent work, asked as its balancer asks. TLS is as the environment says (`Credentials`)."""

from __future__ import annotations

import socket
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.client.credentials import Credentials
from service.core.errors import InvalidInput

State = tuple[bool, str]


async def grpc_state(server: str, service: str, timeout_s: float) -> State:
    """Whether `server` serves `service` ("" for all of it), as grpc.health.v1 tells, and its word for that.

    That needs no key, and none is sent. Raises `InvalidInput` for the environment's files.
    """
    async with replace(Credentials.from_environment(), api_key="").channel(server, []) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its stubs lack the methods
        try:
            reply = await check(health_pb2.HealthCheckRequest(service=service), timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            return False, f"{error.code().name}: {error.details()}"
    word = health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)
    return reply.status == health_pb2.HealthCheckResponse.SERVING, word


def http_state(url: str, timeout_s: float) -> State:
    """Whether a worker, which has no gRPC port, is ready, as its `/readyz` tells, and what it says. It blocks.

    Raises `InvalidInput` for another kind of URL, or the environment's files.
    """
    try:
        with socket.create_connection(_address(url), timeout_s) as connected:
            return _readiness(url, connected)
    except (OSError, HTTPException) as error:
        return False, str(error)


def _readiness(url: str, connected: socket.socket) -> State:
    parts = urlsplit(url)
    connection = HTTPConnection(*_address(url))
    connection.sock = connected
    if parts.scheme == "https":
        credentials = Credentials.from_environment()
        name = credentials.server_name or parts.hostname
        connection.sock = credentials.context().wrap_socket(connected, server_hostname=name)
    connection.request("GET", parts.path or "/")
    reply = connection.getresponse()
    return reply.status == 200, reply.read().decode().strip()


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInput("http", "must be an http:// or https:// URL", url)
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
