from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
import requests

from publisher.host import Bounds
from tests.host_fixtures import (
    SITE,
    Visitor,
    change,
    idle_fixture,
    memory_fixture,
    source_fixture,
    visiting,
    visitor_fixture,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.made import GitFolder

__all__ = ["idle_fixture", "memory_fixture", "source_fixture", "visitor_fixture"]


def variables(visitor: Visitor, deploy_id: str) -> dict[str, str]:
    """Return the environment that a build saw."""
    text = visitor.visit(deploy_id, "/env.txt").text
    return dict(line.split("=", 1) for line in text.split("\0") if line)


def test_hook_builds_the_head_of_the_branch(visitor: Visitor, source: GitFolder) -> None:
    """A hook's call becomes a ready deploy of the branch's newest commit."""
    commit = change(source, "snapshot-2", {"pages/index.html": "<h1>two</h1>"})
    deploy = visitor.build("snapshot-2", trigger_title="score 71.2")
    assert (deploy["state"], deploy["commit_ref"], deploy["branch"]) == ("ready", commit, "snapshot-2")
    assert (deploy["title"], deploy["context"]) == ("score 71.2", "branch-deploy")


def test_hook_answers_nothing(visitor: Visitor) -> None:
    """A hook answers 200 with an empty body: it never names the deploy."""
    answer = visitor.hook("snapshot-1")
    assert (answer.status_code, answer.content) == (200, b"")


def test_unknown_hook_is_not_found(idle: Visitor) -> None:
    """Another id than the hook's starts nothing."""
    answer = requests.post(f"{idle.origin}/build_hooks/{'0' * 24}", timeout=20)
    assert (answer.status_code, answer.json()) == (404, {"code": 404, "message": "Not Found"})
    assert idle.deploys() == []


def test_hook_body_is_bounded(idle: Visitor) -> None:
    """A hook's body of more than 64 KiB is refused and builds nothing."""
    assert idle.hook("snapshot-1", "x" * 65_537).status_code == 413
    assert idle.deploys() == []


@pytest.mark.parametrize("branch", ["-x", "a\nb", "x" * 251])
def test_impossible_branch_is_refused(idle: Visitor, branch: str) -> None:
    """A branch that cannot exist is refused by the hook at once."""
    assert idle.hook(branch).status_code == 422


def test_missing_branch_fails_the_build(visitor: Visitor) -> None:
    """A branch that does not exist gives a failed deploy that says so."""
    deploy = visitor.build("nowhere")
    assert deploy["state"] == "error"
    assert "nowhere" in deploy["error_message"]


def test_documented_variables_are_set(visitor: Visitor, source: GitFolder) -> None:
    """A hook build sees Netlify's documented variables with this deploy's own values."""
    commit = change(source, "snapshot-2", {"pages/a.txt": "a"})
    deploy = visitor.build("snapshot-2", trigger_title="t")
    found = variables(visitor, deploy["id"])
    base = f"{SITE}.localhost:{visitor.info.port}"
    expected = {
        "NETLIFY": "true",
        "CI": "true",
        "CONTEXT": "branch-deploy",
        "BRANCH": "snapshot-2",
        "HEAD": "snapshot-2",
        "COMMIT_REF": commit,
        "PULL_REQUEST": "false",
        "DEPLOY_ID": deploy["id"],
        "BUILD_ID": deploy["build_id"],
        "URL": f"http://{base}",
        "DEPLOY_URL": f"http://{deploy['id']}--{base}",
        "SITE_NAME": SITE,
        "DEPLOY_PRIME_URL": f"http://snapshot-2--{base}",
        "SITE_ID": visitor.info.site_id,
        "REPOSITORY_URL": str(source.path),
        "INCOMING_HOOK_TITLE": "t",
        "INCOMING_HOOK_URL": visitor.info.hook_url,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_hook_body_arrives_percent_encoded(visitor: Visitor) -> None:
    """A hook's body reaches the build percent-encoded, whatever bytes it has."""
    body = '{"score": "71,2 % ± 3"}'
    deploy = visitor.build("snapshot-1", body)
    encoded = variables(visitor, deploy["id"])["INCOMING_HOOK_BODY"]
    assert '"' not in encoded
    assert unquote(encoded) == body


def test_build_environment_is_clean(tmp_path: Path, source: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the host's own process, secret or not, reaches a build."""
    for name in ("NETLIFY_AUTH_TOKEN", "GIT_DIR", "AWS_SECRET", "HF_TOKEN"):
        monkeypatch.setenv(name, "canary")
    with visiting(tmp_path / "state", source) as visitor:
        found = variables(visitor, visitor.build("snapshot-1")["id"])
    assert "canary" not in found.values()
    assert visitor.info.token not in " ".join(found.values())


def test_site_and_tree_variables(tmp_path: Path, source: GitFolder) -> None:
    """The tree's variables win over the site's, a context's over the build's, and Netlify's over all."""
    toml = (
        '[build]\ncommand = "bash build.sh"\npublish = "dist"\n[build.environment]\nB = "tree"\nC = "tree"\n'
        '[context.branch-deploy.environment]\nC = "context"\nCONTEXT = "mine"\n'
    )
    change(source, "snapshot-2", {"netlify.toml": toml})
    with visiting(tmp_path / "state", source, environment={"A": "site", "B": "site"}) as visitor:
        found = variables(visitor, visitor.build("snapshot-2")["id"])
    assert [found[name] for name in ("A", "B", "C", "CONTEXT")] == ["site", "tree", "context", "branch-deploy"]


def test_home_survives_between_builds(visitor: Visitor, source: GitFolder) -> None:
    """What a build leaves in HOME is there for the next one, unless its cache is cleared."""
    script = 'mkdir dist; cp "$HOME/mark" dist/mark.txt || echo none > dist/mark.txt; echo kept > "$HOME/mark"'
    change(source, "snapshot-2", {"build.sh": script})
    seen = [
        visitor.visit(visitor.build("snapshot-2", **query)["id"], "/mark.txt").text.strip()
        for query in ({}, {}, {"clear_cache": "true"}, {})
    ]
    assert seen == ["none", "kept", "none", "kept"]


def test_clone_has_full_history(visitor: Visitor, source: GitFolder) -> None:
    """A build sees the branch's whole history, as Netlify's clones have it."""
    change(source, "snapshot-2", {"build.sh": "mkdir dist; git log --format=%s > dist/log.txt"})
    deploy = visitor.build("snapshot-2")
    assert visitor.visit(deploy["id"], "/log.txt").text.split() == ["Change", "First"]


def test_failing_command_shows_its_end(visitor: Visitor, source: GitFolder) -> None:
    """A failed command fails the deploy with its code and its last lines, and publishes nothing."""
    change(source, "snapshot-2", {"build.sh": "seq 1 50; printf '\\033[31mred\\033[0m\\n'; exit 7"})
    deploy = visitor.build("snapshot-2")
    assert deploy["state"] == "error"
    assert deploy["error_message"].startswith("Build script returned non-zero exit code: 7\n32\n")
    assert deploy["error_message"].endswith("50\nred")
    assert visitor.visit("snapshot-2").status_code == 404


def test_log_is_told_without_colours_and_without_the_hook(visitor: Visitor, source: GitFolder) -> None:
    """The build's output is told line by line, but for colours and the id of the hook that started it."""
    change(source, "snapshot-2", {"build.sh": "mkdir dist; touch dist/a; printf '\\033[1mbold\\033[0m\\n'; env"})
    deploy = visitor.build("snapshot-2")
    log = visitor.log(deploy["id"])
    assert "\nbold\n" in log
    assert "INCOMING_HOOK_URL" in log
    assert visitor.info.hook_url.rpartition("/")[2] not in log


def test_log_is_bounded(tmp_path: Path, source: GitFolder) -> None:
    """A build that never stops talking keeps its beginning and its end."""
    change(source, "snapshot-2", {"build.sh": "mkdir dist; touch dist/a; echo first; seq 1 100000; echo last"})
    with visiting(tmp_path / "state", source, bounds=Bounds(log=10_000)) as visitor:
        deploy = visitor.build("snapshot-2")
        log = visitor.log(deploy["id"])
    assert len(log) < 10_100
    assert "first\n" in log
    assert "last\n" in log


def waits(folder: Path) -> str:
    """Return what writes a file as soon as it is told, if it still runs then."""
    return f"while [ ! -e {folder}/go ]; do sleep 0.05; done; touch {folder}/late"


def test_build_has_a_time_limit(tmp_path: Path, source: GitFolder) -> None:
    """A build that takes too long fails, and what it started is killed with it."""
    change(source, "snapshot-2", {"build.sh": f"({waits(tmp_path)}) & sleep 60"})
    with visiting(tmp_path / "state", source, build_seconds=0.3) as visitor:
        deploy = visitor.build("snapshot-2")
        assert deploy["error_message"].startswith("Build exceeded maximum allowed runtime")
        (tmp_path / "go").touch()
        time.sleep(0.5)
    assert not (tmp_path / "late").exists()


def test_cancel_kills_the_whole_build(visitor: Visitor, source: GitFolder, tmp_path: Path) -> None:
    """Cancelling a running build kills everything that it started and says `Canceled build`."""
    change(source, "snapshot-2", {"build.sh": f"({waits(tmp_path)}) & touch {tmp_path}/begun; sleep 60"})
    visitor.hook("snapshot-2")
    deploy_id = visitor.deploys()[0]["id"]
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    answer = visitor.api("POST", f"/deploys/{deploy_id}/cancel")
    assert (answer.status_code, answer.json()["error_message"]) == (201, "Canceled build")
    (tmp_path / "go").touch()
    time.sleep(0.5)
    assert not (tmp_path / "late").exists()
    assert visitor.deploy(deploy_id)["state"] == "error"


def test_cancelled_build_frees_the_queue(visitor: Visitor, source: GitFolder) -> None:
    """After a cancelled build the next one runs."""
    change(source, "snapshot-2", {"build.sh": "sleep 60"})
    visitor.hook("snapshot-2")
    visitor.api("POST", f"/deploys/{visitor.deploys()[0]['id']}/cancel")
    assert visitor.build("snapshot-1")["state"] == "ready"


def test_waiting_build_can_be_cancelled(visitor: Visitor, source: GitFolder) -> None:
    """A build that only waits is taken off the queue and never runs."""
    change(source, "snapshot-2", {"build.sh": "sleep 0.5; mkdir dist; touch dist/a"})
    visitor.hook("snapshot-2")
    visitor.hook("snapshot-1")
    waiting = visitor.deploys(branch="snapshot-1")[0]
    assert waiting["state"] == "enqueued"
    visitor.api("POST", f"/deploys/{waiting['id']}/cancel")
    assert visitor.wait(visitor.deploys(branch="snapshot-2")[0]["id"])["state"] == "ready"
    assert visitor.deploy(waiting["id"])["error_message"] == "Canceled build"
    assert visitor.visit("snapshot-1").status_code == 404


def test_only_the_newest_of_a_branch_runs(visitor: Visitor, source: GitFolder) -> None:
    """Of the builds that wait for one branch only the newest is built; the older ones are skipped."""
    change(source, "snapshot-2", {"build.sh": "sleep 0.6; mkdir dist; touch dist/a"})
    for number in range(4):
        visitor.hook("snapshot-2", trigger_title=str(number))
    newest = visitor.deploys()[0]
    visitor.wait(newest["id"])
    found = {deploy["title"]: (deploy["state"], deploy["skipped"]) for deploy in visitor.deploys()}
    assert found == {"0": ("ready", None), "1": ("error", True), "2": ("error", True), "3": ("ready", None)}


def test_other_branches_are_not_skipped(visitor: Visitor, source: GitFolder) -> None:
    """Builds of different branches all run, however close together they were asked for."""
    names = [f"snapshot-{number}" for number in range(2, 7)]
    for name in names:
        source.git("branch", name)
        visitor.hook(name)
    states = [visitor.wait(visitor.deploys(branch=name)[0]["id"])["state"] for name in names]
    assert states == ["ready"] * 5


def test_pushes_are_ignored(visitor: Visitor, source: GitFolder) -> None:
    """A push builds nothing: only hooks and the API do."""
    visitor.build("snapshot-1")
    change(source, "snapshot-1", {"pages/index.html": "<h1>pushed</h1>"})
    time.sleep(0.3)
    assert len(visitor.deploys()) == 1
    assert visitor.visit("snapshot-1").text == "<h1>one</h1>"


def test_ignore_does_not_cancel_a_hook_build(visitor: Visitor, source: GitFolder) -> None:
    """`ignore` is for pushes; a hook builds all the same."""
    toml = '[build]\ncommand = "bash build.sh"\npublish = "dist"\nignore = "exit 0"\n'
    change(source, "snapshot-2", {"netlify.toml": toml})
    assert visitor.build("snapshot-2")["state"] == "ready"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[build", "netlify.toml"),
        ('[build]\npublish = "missing"\n', "'missing' does not exist"),
        ('[build]\npublish = "../.."\n', "leaves the repository"),
        ("[build]\ncommand = 3\n", "command is not a string"),
        (f"a = {'[' * 5000}{']' * 5000}\n", "nested too deeply"),
        (f"a = {'1' * 5000}\n", "netlify.toml"),
        ('[build]\npublish = ".git"\n', "hidden folders are not published"),
        ('[build]\ncommand = "ln -s .git dist"\npublish = "dist"\n', "hidden folders are not published"),
        ('[build]\ncommand = "true"\nbase = "nowhere"\n', "could not be started"),
    ],
)
def test_unusable_settings_fail_the_build(visitor: Visitor, source: GitFolder, toml: str, message: str) -> None:
    """A netlify.toml that cannot be followed fails the deploy with a message that says why."""
    change(source, "snapshot-2", {"netlify.toml": toml})
    deploy = visitor.build("snapshot-2")
    assert deploy["state"] == "error"
    assert message in deploy["error_message"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("ln -s /etc/passwd dist/p", "leaves the publish folder"),
        ("ln -s /etc dist/etc", "link to a folder"),
        ("mkfifo dist/pipe", "not a regular file"),
        ("touch 'dist/a#b'", "has a #"),
        ("touch dist/$'a\\nb'", "control character"),
        ("head -c 2000 /dev/zero > dist/large", "larger than 1000 bytes"),
        ("for i in 1 2 3 4; do echo $i > dist/$i; done", "more than 3 files"),
        ("true", "has no files"),
    ],
)
def test_unpublishable_folder_fails_the_build(tmp_path: Path, source: GitFolder, command: str, message: str) -> None:
    """A link out, a special file, a bad name, too much or nothing fails the deploy; nothing of it is served."""
    change(source, "snapshot-2", {"build.sh": f"mkdir dist; {command}"})
    with visiting(tmp_path / "state", source, bounds=Bounds(file=1000, files=3)) as visitor:
        deploy = visitor.build("snapshot-2")
        assert deploy["state"] == "error"
        assert message in deploy["error_message"]
        assert visitor.visit(deploy["id"]).status_code == 404


def test_link_inside_the_folder_is_published_as_its_file(visitor: Visitor, source: GitFolder) -> None:
    """A link to a file of the same folder is published as what it points to."""
    change(source, "snapshot-2", {"build.sh": "mkdir dist; echo x > dist/a.txt; ln -s a.txt dist/b.txt"})
    assert visitor.visit(visitor.build("snapshot-2")["id"], "/b.txt").text == "x\n"
