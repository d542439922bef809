"""What may be fetched, and from where."""

from __future__ import annotations

import pytest

from service.core.errors import InvalidInput, Refused, ServiceError
from service.core.uris import Target, UriRules, allowed, reachable

RULES = UriRules("/data", ("a.org", "*.b.org", "c.org:8443", "8.8.8.8", "127.0.0.1"), ("bucket",))


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("file:///data/a%20b.png", Target("file", "", "/data/a b.png")),
        ("file://localhost/data/a.png", Target("file", "", "/data/a.png")),
        ("https://a.org/x.jpg?w=1", Target("https", "a.org", "/x.jpg")),
        ("https://A.ORG:443/x", Target("https", "a.org", "/x")),
        ("https://img.b.org/x", Target("https", "img.b.org", "/x")),
        ("https://c.org:8443/x", Target("https", "c.org", "/x")),
        ("https://8.8.8.8/x", Target("https", "8.8.8.8", "/x")),
        ("s3://bucket/k/x.png", Target("s3", "bucket", "/k/x.png")),
        ("gs://bucket/x.png", Target("gs", "bucket", "/x.png")),
    ],
)
def test_what_is_named_is_allowed(uri: str, target: Target) -> None:
    """Folder, hosts with their ports, buckets."""
    assert allowed(uri, RULES) == target


@pytest.mark.parametrize(
    ("uri", "kind", "message"),
    [
        ("https://evil.org/x", Refused, "host 'evil.org' is not among those allowed"),
        ("https://b.org/x", Refused, "host 'b.org' is not among"),
        ("https://evilb.org/x", Refused, "host 'evilb.org' is not among"),
        ("https://a.org.evil.org/x", Refused, "host 'a.org.evil.org' is not among"),
        ("https://a.org:22/x", Refused, "host 'a.org:22' is not among"),
        ("https://c.org/x", Refused, "host 'c.org' is not among"),
        ("https://169.254.169.254/latest/meta-data", Refused, "host '169.254.169.254' is not among"),
        ("https://127.0.0.1/x", Refused, "127.0.0.1 is not a public address"),
        ("https://a.org@evil.org/x", InvalidInput, "without a user"),
        ("https://user:secret@a.org/x", InvalidInput, "without a user"),
        ("https:///x", InvalidInput, "https://HOST/PATH"),
        ("https://a.org:99999/x", InvalidInput, "a URI"),
        ("https://[::1/x", InvalidInput, "a URI"),
        ("http://a.org/x", InvalidInput, "begins with file, https, s3 or gs"),
        ("ftp://a.org/x", InvalidInput, "begins with"),
        ("file://server/share/x", InvalidInput, "file:///PATH without a host"),
        ("s3://other/x", Refused, "bucket 'other' is not among those allowed"),
        ("gs://user@bucket/x", Refused, "bucket 'user@bucket' is not"),
    ],
)
def test_everything_else_is_not(uri: str, kind: type[ServiceError], message: str) -> None:
    """Look-alikes, ports, users in front of hosts, and schemes without encryption."""
    with pytest.raises(kind, match=message):
        allowed(uri, RULES)


def test_nothing_is_allowed_by_default() -> None:
    """An operator must name what may be fetched."""
    for uri in ("file:///x", "https://a.org/x", "s3://b/x", "gs://b/x"):
        with pytest.raises(Refused):
            allowed(uri, UriRules())


PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = ["10.0.0.1", "172.16.3.4", "192.168.1.1", "127.0.0.1", "::1", "fd12::1", "::ffff:10.0.0.1", "2002:a00:1::"]
NEVER = [
    "169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "100.100.100.200",
    "192.0.0.192",
    "0.0.0.0",  # noqa: S104 - to be refused
    "::",
    "224.0.0.1",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
]


def test_public_addresses_are_reachable() -> None:
    """Also where an IPv6 address stands for an IPv4 one."""
    assert [address for address in PUBLIC if not reachable(address, private=False)] == []


def test_private_addresses_are_so_on_request_only() -> None:
    """Loopback counts as private."""
    assert [address for address in PRIVATE if reachable(address, private=False)] == []
    assert [address for address in PRIVATE if not reachable(address, private=True)] == []


@pytest.mark.parametrize("private", [False, True])
def test_metadata_services_are_never_reachable(private: bool) -> None:  # noqa: FBT001 - a case
    """Whatever an operator says, in whichever notation."""
    assert [address for address in NEVER if reachable(address, private=private)] == []


def test_teredo_counts_as_the_client_behind_it() -> None:
    """Its last 32 bits are the client's address, inverted: here 10.0.0.1."""
    assert not reachable("2001:0:4136:e378:8000:63bf:f5ff:fffe", private=False)
