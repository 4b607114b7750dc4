from __future__ import annotations

import base64
from pathlib import Path

import pytest

from publisher.errors import GitError, UsageError
from tests.made import GitFolder
from tests.scripted import answer, scripted

CANARY = "canary-git-token-77c1"
ASKS = answer(401, WWW_Authenticate='Basic realm="git"')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitFolder:
    """Return a repository, with the token in the environment."""
    monkeypatch.setenv("PUBLISHER_GIT_TOKEN", CANARY)
    monkeypatch.setenv("NETLIFY_AUTH_TOKEN", CANARY)
    folder = GitFolder.create(tmp_path / "work")
    folder.commit({"a": "1"})
    return folder


def authorizations(folder: GitFolder, monkeypatch: pytest.MonkeyPatch, server: str = "") -> list[str]:
    """Return the credentials that a push sent to a server on loopback that asks for some."""
    with scripted(ASKS, ASKS, answer(404)) as remote:
        folder.git("remote", "add", "origin", f"{remote.url}/a.git")
        monkeypatch.setenv("GITHUB_SERVER_URL", server or remote.url)
        with pytest.raises(GitError) as caught:
            folder.opened.push("origin", {"refs/heads/x": (folder.git("rev-parse", "HEAD"), None)})
        assert CANARY not in caught.value.message + caught.value.hint + caught.value.detail
    heads = "\n".join(remote.heads).splitlines()
    return [line.partition(": ")[2] for line in heads if line.lower().startswith("authorization:")]


def test_the_server_gets_the_token(folder: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push to the named server authenticates with the token of the environment."""
    expected = base64.b64encode(f"x-access-token:{CANARY}".encode()).decode()
    assert set(authorizations(folder, monkeypatch)) == {f"Basic {expected}"}


def test_no_other_server_gets_the_token(folder: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote on another server is asked without credentials."""
    assert authorizations(folder, monkeypatch, "https://github.com") == []


@pytest.mark.parametrize("server", ["http://github.com", "https://github.com/x", "https://u@github.com", "file:///x"])
def test_the_token_needs_https(folder: GitFolder, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    """A server that is not plain https is refused before anything is sent."""
    monkeypatch.setenv("GITHUB_SERVER_URL", server)
    with pytest.raises(UsageError, match="https"):
        folder.opened.remote_refs("https://example.invalid/a.git")


def test_a_local_command_has_no_secret(folder: GitFolder, tmp_path: Path) -> None:
    """A program that git starts for a local command, such as a filter, sees neither the token nor Netlify's."""
    seen = tmp_path / "seen"
    folder.git("config", "filter.spy.clean", f"sh -c 'env >{seen}; cat'")
    folder.commit({".gitattributes": "a filter=spy"})
    (folder.path / "a").write_text("2")
    seen.unlink(missing_ok=True)
    assert folder.opened.is_dirty()
    assert "PATH=" in seen.read_text()
    assert CANARY not in seen.read_text()
