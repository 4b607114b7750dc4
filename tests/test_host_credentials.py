from __future__ import annotations

import base64
import functools
import http.server
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from publisher.errors import GitError
from publisher.git import login
from publisher.host import HostOptions
from tests.host_fixtures import change, memory_fixture, source_fixture, visiting
from tests.made import GitFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["memory_fixture", "source_fixture"]
USER, PASSWORD = "ada", "hunter2/secret@1"
ENCODED = "hunter2%2Fsecret%401"


class GitServer(http.server.SimpleHTTPRequestHandler):
    """Serves a bare repository as plain files to whoever has the password, and looks for it in all arguments."""

    seen_in_arguments = False

    def send_head(self) -> None:
        """Answer 401 without the password."""
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        for arguments in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                GitServer.seen_in_arguments |= b"hunter2" in arguments.read_bytes()
            except OSError:
                continue
        return super().send_head()  # type: ignore[return-value]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def git_server(repository: GitFolder) -> Iterator[str]:
    """Serve a repository over HTTP and yield host, port and path of its address."""
    repository.git("update-server-info")
    handler = functools.partial(GitServer, directory=str(repository.path / ".git"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_a_login_in_the_address_of_the_repository_is_found_nowhere(tmp_path: Path, source: GitFolder) -> None:
    """It clones; yet no page, answer, log, error, state file, clone or argument of a process has the password."""
    script = "mkdir dist; env > dist/env.txt; cat .git/config; git remote -v; cp .git/config dist/config.txt"
    change(source, "snapshot-2", {"build.sh": script})
    change(source, "snapshot-3", {"build.sh": "cat .git/config; exit 3"})
    with (
        git_server(source) as place,
        visiting(tmp_path / "state", f"http://{USER}:{ENCODED}@{place}") as one,
        visiting(tmp_path / "wrong", f"http://{USER}:hunter2b@{place}") as two,
    ):
        built, failed, missing = (one.build(branch) for branch in ("snapshot-2", "snapshot-3", "nowhere"))
        unauthorized = two.build("snapshot-2")
        states = [deploy["state"] for deploy in (built, failed, missing, unauthorized)]
        assert states == ["ready", "error", "error", "error"], built
        said = [one.visit(built["id"], f"/{name}.txt").text for name in ("env", "config")]
        said += [one.api("GET", f"/deploys/{deploy['id']}/log").text for deploy in (built, failed, missing)]
        said += [one.api("GET", path).text for path in ("/sites/bench", "/sites/bench/deploys", "/sites")]
        said += [two.api("GET", "/sites/bench/deploys").text]
        assert f"REPOSITORY_URL=http://{place}" in said[0]
        assert f"url = http://{place}" in said[1]
    for state in (tmp_path / "state", tmp_path / "wrong"):
        said += [path.read_text("latin-1") for path in state.rglob("*") if path.is_file()]
    assert not any("hunter2" in text for text in said)
    assert not GitServer.seen_in_arguments


@pytest.mark.parametrize(
    ("address", "shown", "secret"),
    [
        ("https://ada:word@example.org/a.git", "https://example.org/a.git", "word"),
        ("https://t0ken@example.org:8443/a.git", "https://example.org:8443/a.git", "t0ken"),
        ("https://ada:a@b@example.org/a.git", "https://example.org/a.git", "a@b"),
        ("https://example.org/@scope/a.git", "https://example.org/@scope/a.git", ""),
        ("ssh://git:word@example.org/a.git", "ssh://git@example.org/a.git", ""),
        ("git@example.org:a.git", "git@example.org:a.git", ""),
        ("/srv/git/a.git", "/srv/git/a.git", ""),
    ],
)
def test_what_counts_as_a_login(address: str, shown: str, secret: str) -> None:
    """User information of an address is taken out, and neither it nor the host's options show it by accident."""
    found = login(address)
    assert (found.address, found.secret) == (shown, secret)
    assert not secret or secret not in repr(found)
    options = HostOptions(state=Path(), site="bench", repository=address)
    assert options.shown_repository == shown
    assert not secret or secret not in repr(options)


def test_a_login_cannot_say_more_to_git_than_it_is() -> None:
    """A line break in a login, which would end the value of git's credential protocol, is an error without it."""
    with pytest.raises(GitError, match="control characters") as caught:
        login("https://ada:word%0Ahost=elsewhere@example.org/a.git")
    assert "word" not in str(caught.value)
