"""Which server a URL names."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection

from service.core.errors import InvalidInput
from service.queues.redis_url import Clustered, Standalone, Watched, parse, safe

TAG = "{vitrine}"


def test_a_single_server() -> None:
    """Host, port, database, user and password."""
    server = parse("redis://me:p%40ss@there:6380/2", TAG)

    assert isinstance(server, Standalone)
    assert server.kind is Connection
    wanted = {"host": "there", "port": 6380, "db": 2, "username": "me", "password": "p@ss", "protocol": 2}
    assert wanted.items() <= server.options.items()


def test_tls_and_its_options() -> None:
    """rediss, with the query's options for redis-py."""
    server = parse("rediss://there?ssl_ca_certs=/ca.pem", TAG)

    assert isinstance(server, Standalone)
    assert server.kind is SSLConnection
    assert server.options["ssl_ca_certs"] == "/ca.pem"


def test_a_unix_socket() -> None:
    """By its path."""
    server = parse("unix:///run/redis.sock", TAG)

    assert isinstance(server, Standalone)
    assert server.kind is UnixDomainSocketConnection
    assert server.options["path"] == "/run/redis.sock"


def test_sentinels() -> None:
    """Several, with a default port, the master's name and a database."""
    server = parse("rediss+sentinel://me:pw@one:1,two/main/3", TAG)

    assert isinstance(server, Watched)
    assert (server.sentinels, server.master, server.kind) == ((("one", 1), ("two", 26379)), "main", SSLConnection)
    assert (server.options["username"], server.options["db"]) == ("me", 3)
    assert "host" not in server.options


def test_a_cluster() -> None:
    """Seeds; which of its nodes is ours is asked later."""
    server = parse("redis+cluster://one:1,two", TAG)

    assert isinstance(server, Clustered)
    assert (server.nodes, server.tag) == ((("one", 1), ("two", 6379)), TAG)


def test_a_password_from_a_file_wins_over_the_urls(tmp_path: Path) -> None:
    """Without its line end; one given by the caller wins over both."""
    file = tmp_path / "secret"
    file.write_text("from file\n")
    url = f"redis://:from-url@there?password_file={file}"

    from_file, given = parse(url, TAG), parse(url, TAG, password="given")  # noqa: S106 - a test's
    assert isinstance(from_file, Standalone)
    assert isinstance(given, Standalone)
    assert (from_file.options["password"], given.options["password"]) == ("from file", "given")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://there", r"redis: a URL that begins with one of redis, .*, got http"),
        ("there:6379", r"redis: a URL that begins with one of"),
        ("redis+sentinel://there", r"with the name of the master, got redis\+sentinel://there"),
        ("redis+cluster://there:port", r"HOST:PORT, separated by commas, got there:port"),
        ("redis://there?password_file=/nowhere", r"password_file must be readable .*, got /nowhere"),
        ("redis://there?socket_keepalive=x&max_connections=many", r"Invalid value for 'max_connections'"),
    ],
)
def test_a_wrong_url_is_an_error_that_says_why(url: str, message: str) -> None:
    """Field, rule, value."""
    with pytest.raises(InvalidInput, match=message):
        parse(url, TAG)


def test_messages_hold_no_password() -> None:
    """Nor user, nor options."""
    assert safe("redis://me:secret@there:1/0?password=secret") == "redis://there:1/0"
