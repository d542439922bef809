"""Which URIs of pictures a worker may fetch: what its operator allows, and no address that is none of the caller's."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from service.core.access import is_address
from service.core.errors import InvalidInput, Refused

_HTTPS_PORT = 443
#: Cloud metadata services outside of the link-local range: AWS by IPv6, Alibaba, Oracle.
_METADATA = frozenset(ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class UriRules:
    """What may be fetched; nothing, unless it is named here.

    `hosts` of https:// are "example.org", "*.example.org" or "example.org:8443"; `buckets` are those of s3:// and
    gs://. With `private`, hosts may resolve to private and loopback addresses, never to link-local or metadata ones.
    """

    root: str = ""  #: folder of file:// URIs
    hosts: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    private: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A URI that is allowed. `host` is the bucket of s3:// and gs://; `path` is decoded for file:// only."""

    scheme: str
    host: str
    path: str


def allowed(uri: str, rules: UriRules) -> Target:
    """What `uri` names. Raises `InvalidInput` for one that is malformed, `Refused` for one that is not allowed."""
    try:
        parts = urlsplit(uri)
        port = parts.port or _HTTPS_PORT
    except ValueError as error:
        raise InvalidInput("uri", f"a URI ({error})", uri) from None
    host = parts.hostname or ""
    match parts.scheme:
        case "file":
            _check_file(uri, parts.netloc, rules)
            return Target("file", "", unquote(parts.path))
        case "https":
            _check_host(uri, host, port, rules, named="@" not in parts.netloc)
        case "s3" | "gs":
            if parts.netloc not in rules.buckets:
                raise Refused(f"uri: bucket {parts.netloc!r} is not among those allowed (job_buckets)")
            return Target(parts.scheme, parts.netloc, parts.path)
        case _:
            raise InvalidInput("uri", "one that begins with file, https, s3 or gs", uri)
    return Target("https", host, parts.path)


def reachable(address: str, *, private: bool) -> bool:
    """Whether a fetch may connect to this IP address; see `UriRules.private`."""
    found = _plain(ipaddress.ip_address(address.partition("%")[0]))
    if found in _METADATA or found.is_link_local or found.is_multicast or found.is_unspecified:
        return False
    return found.is_global or (private and (found.is_private or found.is_loopback))


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def _check_file(uri: str, netloc: str, rules: UriRules) -> None:
    if netloc not in {"", "localhost"}:
        raise InvalidInput("uri", "file:///PATH without a host", uri)
    if not rules.root:
        raise Refused("uri: file:// is not allowed: the worker has no folder for it (job_root)")


def _check_host(uri: str, host: str, port: int, rules: UriRules, *, named: bool) -> None:
    if not host or not named:
        raise InvalidInput("uri", "https://HOST/PATH without a user", uri)
    wanted = host if port == _HTTPS_PORT else f"{host}:{port}"
    if not any(_matches(wanted, pattern) for pattern in rules.hosts):
        raise Refused(f"uri: host {wanted!r} is not among those allowed (job_hosts)")
    if is_address(host) and not reachable(host, private=rules.private):
        raise Refused(f"uri: {host} is not a public address")


def _matches(host: str, pattern: str) -> bool:
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))
