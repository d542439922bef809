"""`s3://` and `gs://`, by fsspec and whichever of its file systems is installed."""

from __future__ import annotations

from importlib.util import find_spec

from service.core.errors import InvalidInput, NotReady, Refused

_NEEDED = {"s3": "s3fs", "gs": "gcsfs"}


def read_object(scheme: str, uri: str, max_bytes: int) -> bytes:
    """The bytes of an object, with the credentials that its file system finds on this host. Blocks.

    Raises `InvalidInput` for one that is not there or has more than `max_bytes` bytes, `Refused` where the library is
    missing or access is denied, `NotReady` when the store does not answer.
    """
    if find_spec("fsspec") is None:
        raise Refused(f"uri: {scheme}:// needs fsspec: pip install 'vitrine[remote]' {_NEEDED[scheme]}")
    import fsspec  # noqa: PLC0415 - an extra

    try:
        store = fsspec.filesystem(scheme)
        size = store.info(uri)["size"]
        if size > max_bytes:
            raise InvalidInput("uri", f"at most {max_bytes} bytes", f"{uri} of {size} bytes")
        return bytes(store.cat_file(uri, 0, max_bytes))
    except ImportError:
        raise Refused(f"uri: {scheme}:// needs {_NEEDED[scheme]}: pip install {_NEEDED[scheme]}") from None
    except FileNotFoundError:
        raise InvalidInput("uri", "an object that is there", uri) from None
    except PermissionError:
        raise Refused(f"uri: access to {uri} is denied") from None
    except OSError as error:
        raise NotReady(f"uri: {uri} cannot be fetched: {error}") from None
