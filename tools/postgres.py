"""A private PostgreSQL server for tests, benches and trials: local binaries, a temporary folder, a unix socket.

Rule: nothing of it is left when it has been stopped; it is ended by its process id, and listens to no network.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

START_SECONDS = 60.0
STOP_SECONDS = 30.0
# Debian keeps the server's programs out of PATH.
_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_USER = "openkls"


def find_program(name: str) -> str:
    """The path of a program of PostgreSQL; FileNotFoundError says how to get it."""
    found = shutil.which(name, path=os.pathsep.join([*map(str, _FOLDERS), os.environ.get("PATH", "")]))
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; on Debian: apt-get install postgresql")
    return found


class PrivatePostgres:
    """A server of one's own. ``durable`` syncs to the disk as a real one does; without it tests are faster."""

    def __init__(self, *, durable: bool = False, settings: tuple[str, ...] = ()) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="openkls-pg-"))
        self._data = self._folder / "data"
        self._settings = (*settings, *(() if durable else ("fsync=off", "full_page_writes=off")))
        self._process: subprocess.Popen[bytes] | None = None
        # It refuses to run as the superuser.
        self._as = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if self._as is not None:
            os.chown(self._folder, self._as.pw_uid, self._as.pw_gid)
        try:
            options = ("-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
            self._run("initdb", "-D", str(self._data), *options)
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "PrivatePostgres":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What the server ended with by itself; None while it runs, or when it was stopped."""
        return None if self._process is None else self._process.poll()

    @property
    def log(self) -> Path:
        """What it says."""
        return self._folder / "log"

    @property
    def socket(self) -> Path:
        """Its unix socket."""
        return self._folder / ".s.PGSQL.5432"

    def url(self, database: str) -> str:
        """What ``[store] url`` names a database of it by."""
        return f"postgresql://{_USER}@/{database}?host={self._folder}"

    def create(self, database: str, template: str = "template0") -> str:
        """Make a database; returns its url."""
        self.sql("postgres", f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected."""
        self.sql("postgres", f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def sql(self, database: str, statement: str) -> str:
        """Run a statement as another program would; its answer, unaligned."""
        done = self._run(
            "psql",
            "-h",
            str(self._folder),
            "-U",
            _USER,
            "-d",
            database,
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
        )
        return done.stdout.strip()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"unix_socket_directories={self._folder}", "listen_addresses=", *self._settings]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [
                    find_program("postgres"),
                    "-D",
                    str(self._data),
                    *(part for option in options for part in ("-c", option)),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                # A Ctrl-C in the terminal is for who started it, and ends it last.
                start_new_session=True,
                **self._identity(),
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.sql("postgres", "SELECT 1")
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self.log.read_text(errors="replace")[-2000:])
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts its clients, SIGKILL crashes it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End it and remove its folder. Idempotent."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603
            [find_program(command[0]), *command[1:]],
            check=True,
            capture_output=True,
            text=True,
            cwd=self._folder,
            start_new_session=True,
            **self._identity(),
        )

    def _identity(self) -> dict[str, int]:
        return {} if self._as is None else {"user": self._as.pw_uid, "group": self._as.pw_gid}
