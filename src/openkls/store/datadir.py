"""The data folder: who holds it, and which node it belongs to. Rule: a file here is written whole or not at all.

Theory of operation. One process at a time holds the folder, by a lock of the kernel's on the file ``lock``: it ends
with the process, however that ends, so a stale file never stands in the way. The file's content, the holder's process
id, is only there to be shown.
"""

import fcntl
import os
import re
import tempfile
import uuid
from pathlib import Path

from openkls.store.errors import SetupError

LOCK_FILE = "lock"
NODE_FILE = "node_id"
# A process id has at most 10 digits; whatever else stands in the file is not worth showing.
PID_LIMIT_BYTES = 16

_NODE_ID = re.compile(r"[0-9a-f]{32}")


class DataDirLock:
    """The hold on a data folder; it lasts until ``release`` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the folder up. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def lock_data_dir(data_dir: Path) -> DataDirLock:
    """Take the data folder for this process, making it (mode 0700) when it is not there.

    Raises SetupError when another process holds it (the text names its process id) or it cannot be written.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SetupError(
            f"the data folder {data_dir} cannot be used: {error.strerror}; "
            "give this user the right to write there, or set [server] data_dir to another folder"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        pid = os.pread(descriptor, PID_LIMIT_BYTES, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise SetupError(f"the data folder {data_dir} cannot be locked: {error.strerror}") from error
        holder = f"process {pid}" if pid.isdecimal() else "another process"
        raise SetupError(
            f"the data folder {data_dir} is in use by {holder}; "
            "stop that one first, or set [server] data_dir to another folder"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return DataDirLock(descriptor)


def node_id(data_dir: Path) -> str:
    """The lasting name of the node this folder belongs to: 32 hexadecimal digits, made at random the first time."""
    path = data_dir / NODE_FILE
    write_new(path, f"{uuid.uuid4().hex}\n".encode("ascii"))
    text = read_whole(path).decode("ascii", "replace").strip()
    if _NODE_ID.fullmatch(text) is None:
        raise SetupError(
            f"{path} does not hold 32 hexadecimal digits; restore it, or delete it to make this a new node"
        )
    return text


def read_whole(path: Path) -> bytes:
    """The content of a file of ours; SetupError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}; give it to the user the service runs as") from error


def write_new(path: Path, content: bytes) -> None:
    """Make ``path`` with mode 0600, whole and on disk, unless it exists; of several at once one wins.

    Raises SetupError when the folder cannot be written.
    """
    if path.exists():
        return
    try:
        # A name appears only when the content is complete and synced: link() refuses a name that exists.
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                return
        finally:
            os.unlink(draft)
        _sync_folder(path.parent)
    except OSError as error:
        raise SetupError(
            f"{path} cannot be made: {error.strerror}; the folder must exist and this user may write to it"
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
