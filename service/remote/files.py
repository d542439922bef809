"""`file://`, below one folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from service.core.errors import InvalidInput, Refused


def read_below(root: Path, path: str, max_bytes: int) -> bytes:
    """The bytes of a regular file. Raises `Refused` for one that does not lie below `root`, wherever links lead.

    Raises `InvalidInput` for what cannot be read or has more than `max_bytes` bytes. Blocks.
    """
    try:
        base = root.resolve(strict=True)
        real = Path(path).resolve(strict=True)
        if not real.is_relative_to(base):
            raise Refused(f"uri: {path} does not lie below the folder for files (job_root)")
        return _read(_opened(base, real), path, max_bytes)
    except OSError as error:
        raise InvalidInput("uri", f"a file that can be read ({error.strerror})", path) from None
    except ValueError as error:  # a null byte
        raise InvalidInput("uri", f"the path of a file ({error})", repr(path)) from None


def _opened(base: Path, real: Path) -> int:
    """Folder by folder and through no link: there was none a moment ago, so that one now is an attempt to escape."""
    folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    *folders, name = real.relative_to(base).parts or (".",)
    try:
        for part in folders:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _read(file: int, path: str, max_bytes: int) -> bytes:
    with os.fdopen(file, "rb") as opened:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise InvalidInput("uri", "a regular file", path)
        if status.st_size > max_bytes:
            raise InvalidInput("uri", f"at most {max_bytes} bytes", f"{path} of {status.st_size} bytes")
        return opened.read(max_bytes)
