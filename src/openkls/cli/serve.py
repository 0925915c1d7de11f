"""`openkls serve`: the service, from its first start to its clean end.

Rule: whatever is wrong with the set-up is one line; the first signal ends the service cleanly, the second at once;
SIGHUP reads the configuration again, and a wrong one changes nothing.
"""

import asyncio
import gc
import logging
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from openkls.app import START_FAULTS, WHOLE, Place, Role, Service
from openkls.cli import logs
from openkls.cli.check import ConfigOption
from openkls.cli.firstrun import make_first_config
from openkls.cli.place import data_dir, find_config, load_config
from openkls.cli.screen import fail, note, out, plain, say
from openkls.cli.welcome import Endpoints, open_doors_warning, welcome
from openkls.cli.workers import WORKERS_LIMIT, Supervisor, Worker, as_worker
from openkls.config import Config, ConfigError, load
from openkls.store.errors import SetupError

log = logging.getLogger("openkls.cli.serve")

# Design: SIGTERM and Ctrl-C end it within 10 s. The service's own bound comes first; this one is for its bugs.
STOP_SECONDS = 10.0
# A viewer or a publisher is a file; what systemd and containers commonly give, and enough for a first site.
OPEN_FILES_WANTED = 65_536
LOOP_VARIABLE = "OPENKLS_LOOP"
STDIN = 0
SIGNAL_EXIT_BASE = 128  # the shell's convention for a process that a signal ended


def serve(
    config: ConfigOption = None,
    log_level: Annotated[
        logs.Level, typer.Option("--log-level", help="How much is logged to stderr.", case_sensitive=False)
    ] = logs.Level.INFO,
    log_format: Annotated[
        logs.Format | None,
        typer.Option("--log-format", help="How it is logged; default: [log] format.", case_sensitive=False),
    ] = None,
    role: Annotated[
        Role,
        typer.Option("--role", help="What this process serves: everything, the API, or media.", case_sensitive=False),
    ] = Role.ALL,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=0,
            max=WORKERS_LIMIT,
            help="Start so many media processes that share the ports, and one for the API; 0 is this process alone.",
        ),
    ] = 0,
) -> None:
    """Run the service until Ctrl-C or SIGTERM; SIGHUP reads the configuration again.

    Without a configuration the first start makes a data folder, ./openkls-data, with an account, a key pair, the space
    "demo" and the app "live"; later starts use it and keep what it holds. OPENKLS_<SECTION>__<KEY> in the environment
    replaces a key of the configuration.

    --role api or media, and --workers, are for processes that are joined by [cluster] url.
    """
    worker = as_worker()
    if worker is not None:
        worker.outlive_nobody()
    name = worker.name if worker else ""
    logs.set_up(log_level, name, log_format or logs.Format.CONSOLE)
    path = find_config(config) or _first_start()
    tree = load_config(path)
    style = log_format or logs.Format(tree.log.format)
    logs.set_up(log_level, name, style)
    logs.take_up(tree.log)
    _raise_open_files()
    warning = open_doors_warning(tree)
    if warning and worker is None:
        log.warning("%s", warning)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            if workers:
                clean = runner.run(_supervise(tree, path, workers, role, log_level, style))
            else:
                clean = runner.run(_run(tree, path, role, worker))
    except START_FAULTS as error:
        fail(str(error))
    if not clean:
        fail(f"it did not end within {STOP_SECONDS:g} s and was given up")
    if worker is None:
        say("OpenKLS has ended.")


def _first_start() -> Path:
    folder = data_dir()
    try:
        path = make_first_config(folder)
    except (OSError, SetupError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        fail(f"{folder} cannot be made: {text}; start where this user may write, or give --config")
    note(f"First start: made {path} with a key pair of your own.", style="bold")
    return path


async def _supervise(
    tree: Config, path: Path, workers: int, role: Role, log_level: logs.Level, log_format: logs.Format
) -> bool:
    """Start the processes of this service and look after them until a signal; whether all ended in time."""
    if role is not Role.ALL:
        raise ConfigError("--workers starts processes of both roles; leave --role out")
    stop = asyncio.Event()
    _listen_for_signals(asyncio.get_running_loop(), stop)
    supervisor = Supervisor(tree, path, workers, log_level, log_format)
    on_terminal = os.isatty(STDIN)

    def on_hangup() -> None:
        if on_terminal and not os.isatty(STDIN):
            stop.set()
        else:
            supervisor.reload()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        endpoints = await supervisor.start(stop)
        if endpoints is not None:
            for line in welcome(tree, path, endpoints, out.is_terminal, _program()):
                say(plain(line))
            out.file.flush()
            await supervisor.watch(stop)
            note("Ending: closing streams and writing history. Ctrl-C again ends at once.")
    finally:
        clean = await supervisor.stop()
    return clean


async def _run(tree: Config, path: Path, role: Role, worker: Worker | None) -> bool:
    """Serve until a signal; whether the service ended within its time."""
    stop, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    _listen_for_signals(loop, stop)
    # Not to be ended by one that comes early: it is heeded when the service is up.
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    on_terminal = os.isatty(STDIN)
    if worker is not None:
        await worker.end_with_supervisor(stop)
    service = await Service.start(tree, role, WHOLE if worker is None else Place(worker.folder(tree), True))
    # Modules and what the start has made stay: a full collection that walks them stops every stream for 60 ms.
    gc.collect()
    gc.freeze()
    endpoints = Endpoints(service.api_address, service.rtmp_address, service.play_address, service.api_tls_address)
    if worker is not None:
        worker.tell(endpoints)
    else:
        for line in welcome(tree, path, endpoints, out.is_terminal, _program()):
            say(plain(line))
        out.file.flush()

    def on_hangup() -> None:
        if on_terminal and not os.isatty(STDIN):
            # The terminal it was started on is gone: nobody is left to press Ctrl-C.
            stop.set()
        else:
            _reload(service, path)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    if hangup.is_set():
        on_hangup()
    await stop.wait()
    if worker is None:
        note("Ending: closing streams and writing history. Ctrl-C again ends at once.")
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await service.stop()
    except TimeoutError:
        return False
    return True


def _reload(service: Service, path: Path) -> None:
    """Read the configuration again and take it up; a few milliseconds, in which nothing else is served."""
    try:
        tree = load(path, os.environ)
        waiting = service.reload(tree)
    except ConfigError as error:
        log.error("the configuration is not taken up, nothing has changed: %s", error)
        return
    logs.take_up(tree.log)
    accounts = tree.account
    log.info(
        "the configuration is taken up: %s; %d account(s), %d key(s), %d space(s)",
        path,
        len(accounts),
        sum(len(account.key) for account in accounts),
        sum(len(account.space) for account in accounts),
    )
    if waiting:
        log.warning("unchanged until a restart: %s", ", ".join(waiting))
    warning = open_doors_warning(tree)
    if warning:
        log.warning("%s", warning)


def _program() -> str:
    """How this program is called from the working directory, for commands that are there to be copied."""
    beside = Path(sys.executable).parent / "openkls"
    if shutil.which("openkls") or not beside.exists():
        return "openkls"
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)


def _listen_for_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            logs.drain()
            # What matters is on disk: history and bans survive a kill -9, so they survive this.
            os._exit(SIGNAL_EXIT_BASE + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed; OPENKLS_LOOP=asyncio or =uvloop decides otherwise."""
    wanted = os.environ.get(LOOP_VARIABLE, "")
    if wanted not in ("", "asyncio", "uvloop"):
        fail(f"{LOOP_VARIABLE} is {wanted!r}; asyncio or uvloop expected")
    if wanted == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if wanted:
            fail(f"{LOOP_VARIABLE} asks for uvloop, which is not installed")
        return None
    return uvloop.new_event_loop


def _raise_open_files() -> None:
    """Raise the soft limit of open files to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:
            log.warning("the limit of open files stays at %d: %s", soft, error)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES_WANTED:
        log.warning(
            "at most %d files may be open, about as many viewers; %d are advisable (ulimit -n, LimitNOFILE)",
            soft,
            OPEN_FILES_WANTED,
        )
