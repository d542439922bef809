"""Private Sentinels, clusters and TLS servers for tests: several real processes behind one URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from redis.crc import key_slot

from service.queues.keys import Keys
from tests.servers import RedisServer, free_port

SLOTS = 16_384
MASTER = "mymaster"
USER, PASSWORD = "vitrine", "pass word/%"
#: All that Vitrine asks of Redis; docs/redis.md repeats it.
PERMISSIONS = (
    "~{*}:* resetchannels -@all +@connection +@scripting +@stream +@read +@write +@sortedset +@hash -@dangerous "
    "+info +time +client|unblock +config|get"
)
ADMIN = "admin"


def wait(condition: Callable[[], object], what: str, timeout_s: float = 30) -> None:
    """Wait, blocking, until it holds."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


@dataclass
class Sentinels:
    """A master, a replica and three Sentinels that fail over within about two seconds."""

    folder: Path
    kind: str = "redis"
    data: list[RedisServer] = field(default_factory=list)
    watchers: list[RedisServer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{w.port}' for w in self.watchers)}/{MASTER}"

    def start(self) -> None:
        """Start all of them, and wait until each Sentinel knows the replica and the other Sentinels."""
        ports = [free_port(), free_port()]
        for port in ports:
            follow = () if port == ports[0] else ("--replicaof", "127.0.0.1", str(ports[0]))
            fast = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
            self.data.append(self._start(port, (*fast, *follow)))
        wait(lambda: b"master_link_status:up" in self.data[1].send("INFO", "replication"), "no replication")
        for _ in range(3):
            self.watchers.append(self._start(free_port(), (), sentinel=True))
        for watcher in self.watchers:
            _watch(watcher, ports[0])
        wait(lambda: all(_complete(watcher) for watcher in self.watchers), "the Sentinels are not complete")

    def _start(self, port: int, options: tuple[str, ...], *, sentinel: bool = False) -> RedisServer:
        folder = self.folder / str(port)
        folder.mkdir()
        config = folder / "conf"
        config.touch()
        server = RedisServer(self.kind, folder, options=options, port=port, config=config, sentinel=sentinel)
        server.start()
        return server

    @property
    def master(self) -> RedisServer:
        """Whom most Sentinels call the master."""
        ports = [_master_port(watcher) for watcher in self.watchers if watcher.running]
        port = max(ports, key=ports.count)
        return next(server for server in self.data if server.port == port)

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        return next(server for server in self.data if server is not self.master)

    def promoted(self, server: RedisServer) -> bool:
        """Whether every Sentinel calls it the master, and it agrees."""
        agreed = all(_master_port(watcher) == server.port for watcher in self.watchers)
        return agreed and server.send("ROLE")[0] == b"master"

    def stop(self) -> None:
        """Make sure that they are gone."""
        for server in (*self.watchers, *self.data):
            server.stop()


def _watch(sentinel: RedisServer, port: int) -> None:
    sentinel.send("SENTINEL", "MONITOR", MASTER, "127.0.0.1", port, 2)
    for option, value in {"down-after-milliseconds": 500, "failover-timeout": 2000}.items():
        sentinel.send("SENTINEL", "SET", MASTER, option, value)


def _master_port(sentinel: RedisServer) -> int:
    return int(sentinel.send("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1])


def _complete(sentinel: RedisServer) -> bool:
    state = sentinel.send("SENTINEL", "MASTER", MASTER)
    known = dict(zip(state[::2], state[1::2], strict=True))
    return (known[b"num-slaves"], known[b"num-other-sentinels"]) == (b"1", b"2")


@dataclass
class Cluster:
    """Three masters that share the slots."""

    folder: Path
    kind: str = "redis"
    nodes: list[RedisServer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}"

    def start(self) -> None:
        """Start the nodes, have them meet, share the slots, and wait until each calls the cluster whole."""
        for _ in range(3):
            port = free_port()
            folder = self.folder / str(port)
            folder.mkdir()
            enabled = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file", "nodes")
            node = RedisServer(self.kind, folder, options=enabled, port=port)
            node.start()
            self.nodes.append(node)
        third = SLOTS // 3 + 1
        for index, node in enumerate(self.nodes):
            owned = range(index * third, min((index + 1) * third, SLOTS))
            node.send("CLUSTER", "ADDSLOTS", *owned)
            node.send("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for node in self.nodes[1:]:
            self.nodes[0].send("CLUSTER", "MEET", "127.0.0.1", node.port)
        wait(lambda: all(self._whole(node) for node in self.nodes), "the cluster is not whole")

    def _whole(self, node: RedisServer) -> bool:
        info: bytes = node.send("CLUSTER", "INFO")
        return b"cluster_state:ok" in info and b"cluster_known_nodes:3" in info

    def owner(self, keys: Keys) -> RedisServer:
        """The node that holds these keys."""
        slot = key_slot(keys.tag.encode())
        ranges = self.nodes[0].send("CLUSTER", "SLOTS")
        port = next(int(master[1]) for first, last, master, *_ in ranges if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)

    def begin_move(self, keys: Keys) -> tuple[RedisServer, RedisServer]:
        """Mark the keys' slot as migrating from its owner to another node; both of them."""
        slot, source = key_slot(keys.tag.encode()), self.owner(keys)
        target = next(node for node in self.nodes if node is not source)
        target.send("CLUSTER", "SETSLOT", slot, "IMPORTING", _id(source))
        source.send("CLUSTER", "SETSLOT", slot, "MIGRATING", _id(target))
        return source, target

    def end_move(self, keys: Keys, source: RedisServer, target: RedisServer) -> None:
        """Move the keys, all that come while it goes on included, and hand the slot over."""
        slot = key_slot(keys.tag.encode())
        while names := source.send("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.send("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *names)
        for node in (target, source, *self.nodes):
            node.send("CLUSTER", "SETSLOT", slot, "NODE", _id(target))

    def stop(self) -> None:
        """Make sure that they are gone."""
        for node in self.nodes:
            node.stop()


def _id(node: RedisServer) -> bytes:
    return bytes(node.send("CLUSTER", "MYID"))


@dataclass
class Secured:
    """One server that speaks TLS only, to a client with a certificate, and to a user with few permissions."""

    folder: Path
    kind: str = "redis"
    server: RedisServer | None = None

    @property
    def options(self) -> str:
        """Of the URL: whom to trust, whom to show, and where the password is."""
        return (
            f"ssl_ca_certs={self.folder}/ca.pem&ssl_certfile={self.folder}/client.pem"
            f"&ssl_keyfile={self.folder}/client.pem&password_file={self.folder}/password"
        )

    @property
    def address(self) -> str:
        assert self.server is not None
        return f"127.0.0.1:{self.server.tls_port}"

    @property
    def url(self) -> str:
        return f"rediss://{USER}@{self.address}/0?{self.options}"

    def start(self) -> None:
        """Make the certificates, start it, and let the user in."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        for name in ("server", "client"):
            certificate = authority.issue_cert("127.0.0.1")
            certificate.private_key_and_cert_chain_pem.write_to_path(str(self.folder / f"{name}.pem"))
        (self.folder / "password").write_text(PASSWORD + "\n")
        own = str(self.folder / "server.pem")
        tls = ("--tls-cert-file", own, "--tls-key-file", own, "--tls-ca-cert-file", str(self.folder / "ca.pem"))
        self.server = RedisServer(self.kind, self.folder, options=tls, tls_port=free_port(), password=ADMIN)
        self.server.start()
        self.permit(PERMISSIONS)

    def permit(self, permissions: str) -> None:
        """Let the user do this and nothing else."""
        assert self.server is not None
        self.server.send("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", *permissions.split())

    def stop(self) -> None:
        """Make sure that it is gone."""
        if self.server is not None:
            self.server.stop()


TOPOLOGIES: dict[str, type[Sentinels | Cluster | Secured]] = {
    "sentinel": Sentinels,
    "cluster": Cluster,
    "tls": Secured,
}
