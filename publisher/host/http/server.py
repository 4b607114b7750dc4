"""Starting and stopping the host, on 127.0.0.1 only."""

from __future__ import annotations

import ctypes
import secrets
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import uvicorn

from publisher.errors import UsageError
from publisher.files import atomic_write, canonical_json
from publisher.host.http.app import create_app
from publisher.host.options import HostInfo, HostOptions
from publisher.host.store.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ADDRESS = "127.0.0.1"
_BACKLOG = 512
_GRACE_SECONDS = 5
_PR_SET_DUMPABLE = 4


def serve(options: HostOptions) -> None:
    """Serve one site until SIGINT or SIGTERM. Raises UsageError when the port is taken, StorageError for its folder.

    `connection.json` in the state folder tells other commands how to reach the host, for as long as it runs.
    """
    _hide_memory()
    _Run(options).run()


def _hide_memory() -> None:
    """Let no process of the same user read this one's memory and variables: builds run as that user."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextmanager
def running(options: HostOptions) -> Iterator[HostInfo]:
    """Serve one site in a thread for as long as the block runs; `port` 0 takes a free one."""
    ready = threading.Event()
    infos: list[HostInfo] = []

    def on_ready(info: HostInfo) -> None:
        infos.append(info)
        if options.on_ready is not None:
            options.on_ready(info)
        ready.set()

    run = _Run(replace(options, on_ready=on_ready))
    thread = threading.Thread(target=run.run_and_report, args=(ready,), name="host", daemon=True)
    thread.start()
    ready.wait()
    try:
        if run.failure is not None:
            raise run.failure
        yield infos[0]
    finally:
        run.stop()
        thread.join()


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._on_listening()


class _Run:
    """One run of the host."""

    def __init__(self, options: HostOptions) -> None:
        options.check()
        self.failure: BaseException | None = None
        self._options = options
        self._server: _Server | None = None

    def run(self) -> None:
        options = self._options
        with _listen(options.port) as listener:
            port = listener.getsockname()[1]
            state = State(options, port=port, token=options.token or _kept_token(options.state / "token"))
            connection = options.state / "connection.json"
            try:
                config = uvicorn.Config(
                    create_app(state),
                    log_config=None,
                    access_log=False,
                    lifespan="on",
                    ws="none",
                    server_header=False,
                    date_header=False,  # the application's own follows the host's clock
                    timeout_graceful_shutdown=_GRACE_SECONDS,
                )
                self._server = _Server(config, lambda: _announce(state, connection))
                self._server.run(sockets=[listener])
            finally:
                connection.unlink(missing_ok=True)
                state.store.close()

    def run_and_report(self, ready: threading.Event) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self.failure = error
        finally:
            ready.set()

    def stop(self) -> None:
        if self._server is not None:
            self._server.should_exit = True


def _listen(port: int) -> socket.socket:
    # asyncio turns off Nagle's delay only for sockets that name their protocol; with it each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_ADDRESS, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen on {_ADDRESS}:{port}: {error.strerror}", hint="--port 0   takes any free one"
        ) from error
    return listener


def _announce(state: State, connection: Path) -> None:
    site = state.store.site
    info = HostInfo(
        api_url=state.origin,
        site_url=state.site_url,
        hook_url=state.hook_url(site.hooks[0]),
        token=state.token,
        site_id=site.id,
        site_name=site.name,
        port=state.port,
    )
    atomic_write(connection, canonical_json(msgspec.to_builtins(info)), mode=0o600)
    if state.options.on_ready is not None:
        state.options.on_ready(info)


def _kept_token(path: Path) -> str:
    """Return the token of this state folder, made once."""
    if not path.exists():
        atomic_write(path, secrets.token_urlsafe(32).encode(), mode=0o600)
    return path.read_text("utf-8").strip()
