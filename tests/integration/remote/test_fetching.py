"""Fetching pictures: real files and links, a real server with TLS, and what must not be reached."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest
import trustme
from aiohttp import web
from fsspec.implementations.memory import MemoryFileSystem

from service.core.errors import InvalidInput, NotReady, Refused
from service.core.uris import UriRules
from service.remote.fetcher import UriFetcher
from service.remote.https import HttpsReader

MAX_BYTES = 1000

PAGES: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "/a.png": (200, b"picture", {}),
    "/large": (200, b"x" * (MAX_BYTES + 1), {}),
    "/zipped": (200, b"zipped", {"Content-Encoding": "gzip"}),  # would be as large as one likes
    "/busy": (503, b"", {}),
}
LOCATIONS = {
    "/moved": "/a.png",
    "/metadata": "https://169.254.169.254/latest/meta-data",
    "/plain": "http://localhost:{port}/a.png",
    "/round": "/round",
}


@dataclass
class Site:
    """A web server on this machine, whom its clients trust."""

    port: int
    context: ssl.SSLContext
    asked: list[str]

    def uri(self, path: str) -> str:
        return f"https://localhost:{self.port}/{path}"

    def rules(self, *, private: bool = True) -> UriRules:
        return UriRules(hosts=(f"localhost:{self.port}",), private=private)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path in LOCATIONS:
            location = LOCATIONS[request.path].format(port=request.url.port)
            return web.Response(status=302, headers={"Location": location})
        status, body, headers = PAGES.get(request.path, (404, b"", {}))
        return web.Response(status=status, body=body, headers=headers)

    authority = trustme.CA()
    serving, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=serving)
    await listening.start()
    yield Site(runner.addresses[0][1], trusting, asked)
    await runner.cleanup()


@pytest.fixture
async def reader(site: Site) -> AsyncIterator[HttpsReader]:
    async with HttpsReader(site.rules(), MAX_BYTES, 5.0, site.context) as made:
        yield made


async def test_a_picture_is_fetched(site: Site, reader: HttpsReader) -> None:
    """Also through a redirect to a place that is allowed."""
    assert await reader.read(site.uri("a.png")) == b"picture"
    assert await reader.read(site.uri("moved")) == b"picture"


async def test_a_body_is_not_unpacked(site: Site, reader: HttpsReader) -> None:
    """A few bytes can become gigabytes."""
    assert await reader.read(site.uri("zipped")) == b"zipped"


async def test_a_body_that_is_too_large_is_given_up(site: Site, reader: HttpsReader) -> None:
    """Whatever its length was said to be."""
    with pytest.raises(InvalidInput, match="at most 1000 bytes"):
        await reader.read(site.uri("large"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("metadata", "host '169.254.169.254' is not among those allowed"),
        ("round", "more than 3 redirects"),
    ],
)
async def test_a_redirect_leads_nowhere_else(site: Site, reader: HttpsReader, path: str, message: str) -> None:
    """Each step is held to the same rules."""
    with pytest.raises(Refused, match=message):
        await reader.read(site.uri(path))


async def test_a_redirect_does_not_lead_out_of_encryption(site: Site, reader: HttpsReader) -> None:
    """Only https:// follows https://."""
    with pytest.raises(InvalidInput, match="begins with file, https"):
        await reader.read(site.uri("plain"))


async def test_what_is_not_there_is_the_callers_mistake(site: Site, reader: HttpsReader) -> None:
    """Nobody tries that again."""
    with pytest.raises(InvalidInput, match="status 404"):
        await reader.read(site.uri("nothing"))


async def test_a_name_that_resolves_to_this_machine_is_not_connected_to(site: Site) -> None:
    """`localhost` is allowed by name, yet its address is private: nothing reaches the server."""
    async with HttpsReader(site.rules(private=False), MAX_BYTES, 5.0, site.context) as reader:
        with pytest.raises(NotReady, match="no public address"):
            await reader.read(site.uri("a.png"))
    assert site.asked == []


async def test_a_server_that_is_busy_is_asked_again(site: Site, reader: HttpsReader) -> None:
    """Three times, and then the item fails."""
    async with UriFetcher(site.rules(), MAX_BYTES, https=reader.read) as fetch:
        with pytest.raises(NotReady, match="status 503"):
            await fetch(site.uri("busy"))
    assert site.asked == ["/busy"] * 3


async def test_a_server_without_a_trusted_certificate_is_refused(site: Site) -> None:
    """TLS is checked."""
    async with HttpsReader(site.rules(), MAX_BYTES, 5.0) as reader:
        with pytest.raises(NotReady, match="certificate"):
            await reader.read(site.uri("a.png"))
    assert site.asked == []


# Files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder for files, with a secret beside it."""
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "root"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a b.png").write_bytes(b"picture")
    (folder / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    (folder / "link").symlink_to("inner/a b.png")
    (folder / "escape").symlink_to("../secret")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
async def files(root: Path) -> AsyncIterator[UriFetcher]:
    async with UriFetcher(UriRules(str(root)), MAX_BYTES) as fetch:
        yield fetch


@pytest.mark.parametrize("path", ["inner/a%20b.png", "inner/../inner/a%20b.png", "link"])
async def test_a_file_below_the_folder_is_read(root: Path, files: UriFetcher, path: str) -> None:
    """Also through a link that stays inside."""
    assert await files(f"file://{root}/{path}") == b"picture"


@pytest.mark.parametrize(
    "path", ["../secret", "inner/../../secret", "escape", "up/secret", "%2e%2e/secret", "../../../../../etc/hostname"]
)
async def test_no_path_leads_out_of_the_folder(root: Path, files: UriFetcher, path: str) -> None:
    """Neither dots nor links, however they are written."""
    with pytest.raises((Refused, InvalidInput), match=r"does not lie below the folder|No such file"):
        await files(f"file://{root}/{path}")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("inner", "Is a directory"),
        ("pipe", "a regular file"),
        ("large", "at most 1000 bytes"),
        ("nothing", "No such file"),
        ("a%00b", "null"),
        ("", "Is a directory"),
    ],
)
async def test_what_is_no_picture_is_not_read(root: Path, files: UriFetcher, path: str, message: str) -> None:
    """Folders, pipes that would never end, large files."""
    with pytest.raises(InvalidInput, match=message):
        await files(f"file://{root}/{path}")


# Object stores


@pytest.fixture
def bucket() -> Iterator[None]:
    """Fsspec's own store in memory, in the place of s3fs."""
    store = MemoryFileSystem()
    fsspec.register_implementation("s3", MemoryFileSystem, clobber=True)
    store.pipe("s3://bucket/a.png", b"picture")
    store.pipe("s3://bucket/large", b"x" * (MAX_BYTES + 1))
    yield
    fsspec.register_implementation("s3", "s3fs.S3FileSystem", clobber=True)
    store.store.clear()


@pytest.mark.usefixtures("bucket")
async def test_an_object_is_fetched() -> None:
    """From a bucket that is allowed."""
    async with UriFetcher(UriRules(buckets=("bucket",)), MAX_BYTES) as fetch:
        assert await fetch("s3://bucket/a.png") == b"picture"
        with pytest.raises(InvalidInput, match="at most 1000 bytes"):
            await fetch("s3://bucket/large")
        with pytest.raises(InvalidInput, match="an object that is there"):
            await fetch("s3://bucket/nothing")
        with pytest.raises(Refused, match="not among those allowed"):
            await fetch("s3://other/a.png")


async def test_a_missing_library_is_named() -> None:
    """With the command that brings it."""
    async with UriFetcher(UriRules(buckets=("bucket",)), MAX_BYTES) as fetch:
        with pytest.raises(Refused, match="pip install gcsfs"):
            await fetch("gs://bucket/a.png")
