from __future__ import annotations

import pytest

from publisher import forge

OLD, NEW = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("remote", "home"),
    [
        ("https://github.com/owner/name.git", "https://github.com/owner/name"),
        ("https://user:ghp_secret@github.com/owner/name", "https://github.com/owner/name"),
        ("git@github.com:owner/name.git", "https://github.com/owner/name"),
        ("ssh://git@gitlab.com:22/group/sub/name.git", "https://gitlab.com/group/sub/name"),
        ("git@gitlab.example.org:a/b/c.git", "https://gitlab.example.org/a/b/c"),
        ("https://codeberg.org/owner/name/", "https://codeberg.org/owner/name"),
        ("https://gitea.example.com:3000/owner/name.git", "https://gitea.example.com:3000/owner/name"),
        ("http://gitea.example.com:3000/owner/name.git", "https://gitea.example.com/owner/name"),
    ],
)
def test_a_remote_on_a_forge_has_a_web_address(remote: str, home: str) -> None:
    """HTTPS, SSH and the short form, whatever credentials and ports of other protocols they hold."""
    assert forge.home(remote) == home


@pytest.mark.parametrize(
    "remote",
    [
        "/srv/git/name.git",
        "../origin.git",
        "file:///srv/github.com/owner/name",
        "https://example.com/owner/name",
        "https://notgithub.com/owner/name",
        "https://github.com.evil.example/owner/name",
        "https://github.com/owner",
        "https://github.com/owner/name/tree/main",
        "https://github.com/owner/../name",
        "https://github.com/owner/name?token=secret",
        "https://github.com/owner/na me",
        "https://github.com/owner/name\njavascript:alert(1)",
        "javascript://github.com/%0aalert(1)//x/y",
        "https://github.com/own\u202eer/name",
        "https://github.com/" + "x" * 600 + "/name",
        "https://a@b@github.com/owner/name",
    ],
)
def test_what_is_on_no_known_forge_has_none(remote: str) -> None:
    """Paths, other hosts, look-alikes and addresses with more in them than a repository."""
    assert forge.home(remote) == ""


def test_commits_and_differences_have_addresses_where_the_forge_is_known() -> None:
    """GitLab has a dash before its pages; what is no commit or no such address leads nowhere."""
    assert forge.commit("https://github.com/o/n", NEW) == f"https://github.com/o/n/commit/{NEW}"
    assert forge.commit("https://gitlab.com/o/g/n", NEW) == f"https://gitlab.com/o/g/n/-/commit/{NEW}"
    assert forge.difference("https://codeberg.org/o/n", OLD, NEW) == f"https://codeberg.org/o/n/compare/{OLD}...{NEW}"
    assert forge.difference("https://gitlab.com/o/n", OLD, NEW) == f"https://gitlab.com/o/n/-/compare/{OLD}...{NEW}"
    assert forge.commit("javascript:alert(1)//github.com/o/n", NEW) == ""
    assert forge.commit("https://github.com/o/n", 'x"onclick=') == ""
    assert forge.difference("https://github.com/o/n", OLD, "HEAD") == ""
    assert forge.difference("", OLD, NEW) == ""
