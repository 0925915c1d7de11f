"""The files of the app, as its build left them. Rule: only a file that was there when the folder was read is served, by
the very name it had: no path that is asked for ever reaches the file system.

Theory of operation. The folder is read whole, once, at the first request that finds an index in it; a build that is
made while the service runs is therefore taken up if there was none before. Names below ``assets/`` carry a hash of
their content, so browsers may keep them for ever; all else is asked for each time.
"""

import asyncio
import gzip
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

INDEX: Final = "index.html"
ASSETS: Final = "assets/"
FOREVER: Final = "public, max-age=31536000, immutable"
# An app with its libraries is some 2 MB in some twenty files.
FILES_LIMIT: Final = 500
FILES_LIMIT_BYTES: Final = 32 * 1024 * 1024
# Smaller ones gain nothing.
GZIP_LEAST_BYTES: Final = 1024
READ_SECONDS: Final = 10.0
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_PACKED: Final = (".html", ".js", ".css", ".json", ".map", ".svg", ".txt")


@dataclass(frozen=True, slots=True)
class File:
    """A file of the app. ``packed`` is its content in gzip's format, None where that gains nothing."""

    content: bytes
    packed: bytes | None
    content_type: str
    etag: str
    is_hashed: bool
    """Its name changes with its content."""


class Shelf:
    """The files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, File] = {}
        self._reading = asyncio.Lock()

    async def file(self, name: str) -> File | None:
        """The file of this name, such as ``assets/index-1234.js``; None when there is none."""
        if not self._files:
            async with self._reading, asyncio.timeout(READ_SECONDS):
                if not self._files:
                    self._files = await asyncio.to_thread(read_folder, self._folder)
        return self._files.get(name)


def read_folder(folder: Path) -> dict[str, File]:
    """The files of the app by their names; none when there is no index. Raises OSError, and ValueError over a limit."""
    if not (folder / INDEX).is_file():
        return {}
    files: dict[str, File] = {}
    size = 0
    for path in sorted(folder.rglob("*")):
        content_type = TYPES.get(path.suffix)
        if content_type is None or path.is_symlink() or not path.is_file():
            continue
        size += path.stat().st_size
        if len(files) >= FILES_LIMIT or size > FILES_LIMIT_BYTES:
            raise ValueError(
                f"{folder} holds more than {FILES_LIMIT} files or {FILES_LIMIT_BYTES} bytes; empty it and build the "
                "console again: make console"
            )
        name = path.relative_to(folder).as_posix()
        files[name] = _read_file(path, name, content_type)
    return files


def _read_file(path: Path, name: str, content_type: str) -> File:
    content = path.read_bytes()
    packed = None
    if path.suffix in _PACKED and len(content) >= GZIP_LEAST_BYTES:
        packed = gzip.compress(content, mtime=0)
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    return File(content, packed, content_type, etag, is_hashed=name.startswith(ASSETS))
