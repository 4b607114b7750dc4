"""What `publisher init` writes: what other machines can install, valid configurations, workflows without gaps."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from publisher import __version__
from publisher.bench.inputs.builtin_files import BUILTIN
from publisher.cli.init import hooks_folder
from publisher.config import parse
from publisher.errors import UsageError
from publisher.graders import mistake_in
from publisher.publishing.adoption import adopt, starter
from tests.made import GitFolder
from tests.project import Project

GOOD = '{"id": "a", "problem": "x", "answer": "1"}\n'
COMMIT = "0123456789" * 4
GITHUB = f"example/publisher/.github/actions/publish@{COMMIT}"


@pytest.mark.parametrize(
    ("told", "requirement", "action"),
    [
        (None, f"snapshot-publisher=={__version__}", ""),
        (
            {"url": "https://github.com/example/publisher.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"snapshot-publisher @ git+https://github.com/example/publisher.git@{COMMIT}",
            GITHUB,
        ),
        (
            {"url": "https://example.org/p-1-py3-none-any.whl", "archive_info": {}},
            "snapshot-publisher @ https://example.org/p-1-py3-none-any.whl",
            "",
        ),
        ({"url": "file:///srv/p-1-py3-none-any.whl", "archive_info": {}}, "./hooks/p-1-py3-none-any.whl", ""),
    ],
)
def test_another_machine_installs_what_this_one_has(
    tmp_path: Path, told: dict[str, object] | None, requirement: str, action: str
) -> None:
    """A release by its version, a public repository by its commit, an archive by its address, a wheel as a file."""
    found = adopt.installation(told, tmp_path)
    assert (found.requirement, found.action) == (requirement, action)


def test_a_pushed_checkout_is_named_by_its_commit(tmp_path: Path) -> None:
    """Where the checkout is clean and its commit is on a public remote; otherwise a wheel would be made of it."""
    folder = GitFolder.create(tmp_path / "tool")
    commit = folder.commit({"README.md": "x"})
    folder.git("remote", "add", "origin", "https://github.com/example/publisher")
    folder.git("update-ref", "refs/remotes/origin/main", commit)
    told = {"url": folder.path.as_uri(), "dir_info": {"editable": True}}
    found = adopt.installation(told, tmp_path)
    assert found.requirement == f"snapshot-publisher @ git+https://github.com/example/publisher@{commit}"
    (folder.path / "README.md").write_text("changed")
    with pytest.raises(UsageError, match="no wheel can be made"):
        adopt.installation(told, tmp_path)


@pytest.mark.parametrize("wheel", [None, Path("p-1-py3-none-any.whl")])
def test_workflows_have_no_gaps(wheel: Path | None) -> None:
    """Every placeholder is filled in, every action is named by a commit, and the files are YAML."""
    requirement = f"./hooks/{wheel}" if wheel else "snapshot-publisher==1.0"
    found = adopt.Installation(requirement, wheel, GITHUB)
    made = starter.files(hooks_folder(), found, "")
    flows = {name: yaml.safe_load(text) for name, text in made.items() if name.startswith(".github/")}
    assert len(flows) == len(starter.WORKFLOWS)
    text = json.dumps(flows)
    assert not [word for word in ("ACTION@", "CORE", 'BENCH"', 'TIER"') if word in text]
    wanted = "${{ github.workspace }}/hooks/p-1-py3-none-any.whl[bench]" if wheel else "snapshot-publisher[bench]==1.0"
    (step,) = [
        one for one in flows[".github/workflows/nightly.yml"]["jobs"]["drift"]["steps"] if one.get("name") == "Install"
    ]
    assert step["env"]["REQUIREMENT"] == wanted


@pytest.mark.parametrize("suite", ["", "problems.jsonl", "data/My Suite.jsonl", "aime25"])
@pytest.mark.parametrize(
    "model", [None, starter.Model("m", "models/m.gguf"), starter.Model('"quoted"', "local:x.gguf", "a" * 64)]
)
def test_every_configuration_that_is_written_is_valid(suite: str, model: starter.Model | None) -> None:
    """The model and the suite that were named are the ones that are measured."""
    text = (hooks_folder() / "starter" / "publisher.toml").read_text()
    config = parse(starter.configuration(text, site="s", model=model, suite=suite).encode(), graders=mistake_in)
    assert config.model.source == (model.source if model else "builtin:abacus")
    assert config.headline == {"": "abacus", "data/My Suite.jsonl": "my-suite"}.get(suite, suite.removesuffix(".jsonl"))
    assert config.netlify.site == "s"


def gguf(path: Path) -> Path:
    """Copy the builtin model, a real GGUF that was trained with 1,024 tokens, to a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(BUILTIN / "abacus-early-q8_0.gguf", path)
    return path


def test_the_model_is_found_or_asked_for(tmp_path: Path) -> None:
    """The only GGUF of a repository is taken; of several one has to be named; one outside is named by its digest."""
    assert starter.find_model(tmp_path, "") is None
    gguf(tmp_path / "models" / "a.gguf")
    found = starter.find_model(tmp_path, "")
    assert found is not None
    assert (found.name, found.source, found.context) == ("a", "models/a.gguf", 1024)
    gguf(tmp_path / "b.gguf")
    with pytest.raises(UsageError, match="several models"):
        starter.find_model(tmp_path, "")
    outside = starter.find_model(tmp_path / "models", "../b.gguf")
    assert outside is not None
    assert (outside.source, len(outside.sha256)) == ("local:b.gguf", 64)
    with pytest.raises(UsageError, match="no such file"):
        starter.find_model(tmp_path, "c.gguf")


def test_a_model_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    """A file that is no GGUF is named; what is fetched from elsewhere needs its digest; a Git LFS pointer is fine."""
    (tmp_path / "a.gguf").write_bytes(b"<html>")
    with pytest.raises(UsageError, match="not a GGUF file"):
        starter.find_model(tmp_path, "a.gguf")
    with pytest.raises(UsageError, match="sha256"):
        starter.find_model(tmp_path, "hf:o/r@main/m.gguf")
    elsewhere = starter.find_model(tmp_path, "hf:o/r@main/m.gguf", "a" * 64)
    assert elsewhere is not None
    assert elsewhere.sha256 == "a" * 64
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
    (tmp_path / "a.gguf").write_text(pointer)
    assert starter.find_model(tmp_path, "a.gguf") is not None


@pytest.mark.parametrize(
    ("wanted", "text", "words"),
    [
        ("nothing.jsonl", "", "no such file"),
        ("aime52", "", "did you mean 'aime25'"),
        ("../outside.jsonl", GOOD, "outside the repository"),
        ("table.csv", GOOD, "NAME.jsonl"),
        ("own.jsonl", '{"id": "a", "problem": "x"}', "line 1: the answer of 'a' is missing"),
    ],
)
def test_a_suite_is_checked_before_anything_is_written(tmp_path: Path, wanted: str, text: str, words: str) -> None:
    """A suite that no commit could have, or that is no suite, ends `init` with one message and no file."""
    folder = GitFolder.create(tmp_path / "work")
    if text:
        (folder.path / wanted).write_text(text)
    done = Project(folder).run("init", "--site", "my-site", "--suite", wanted, "--requirement", "x==1", "--commit")
    assert (done.code, words in done.err) == (2, True), done.err
    assert not (folder.path / "publisher.toml").exists()


def test_files_are_named_as_the_user_sees_them(tmp_path: Path) -> None:
    """From a folder of the repository a path counts from there; publisher.toml counts from the root."""
    here = tmp_path / "data"
    here.mkdir()
    (here / "own.jsonl").write_text(GOOD)
    gguf(here / "own.gguf")
    assert starter.find_suite(tmp_path, "own.jsonl", here) == "data/own.jsonl"
    assert starter.find_suite(tmp_path, "data/own.jsonl", here) == "data/own.jsonl"
    found = starter.find_model(tmp_path, "own.gguf", "", here)
    assert found is not None
    assert found.source == "data/own.gguf"
    assert starter.find_suite(tmp_path, "aime25", here) == "aime25"


def test_a_commit_of_init_holds_what_was_written_and_nothing_else(tmp_path: Path) -> None:
    """What the user has staged stays staged; a second call changes nothing and says so."""
    folder = GitFolder.create(tmp_path / "work")
    folder.commit({"README.md": "x"})
    for key, value in [("user.name", "a"), ("user.email", "a@example.org")]:
        folder.git("config", key, value)
    (folder.path / "own.txt").write_text("staged")
    folder.git("add", "own.txt")
    project = Project(folder)
    arguments = ("init", "--site", "my-site", "--requirement", "snapshot-publisher==1.0", "--commit")
    done = project.run(*arguments)
    assert done.code == 0, done.err
    committed = folder.git("show", "--name-only", "--format=", "HEAD").split()
    assert "own.txt" not in committed
    assert {"publisher.toml", "netlify.toml", "hooks/netlify-build", ".gitignore", "publisher.schema.json"} <= set(
        committed
    )
    assert (
        subprocess.run(
            ["git", "-C", str(folder.path), "diff", "--cached", "--name-only"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        == "own.txt\n"
    )
    again = project.run(*arguments)
    assert (again.code, again.out.count("same     ")) == (0, 5)


def test_a_commit_of_init_leaves_changes_of_others_alone(tmp_path: Path) -> None:
    """A file that is there and differs may be somebody's work in progress: it is neither written nor committed."""
    project = Project.create(tmp_path)
    path = project.folder.path / "publisher.toml"
    path.write_text(f"{path.read_text()}# not finished\n")
    for key, value in [("user.name", "a"), ("user.email", "a@example.org")]:
        project.folder.git("config", key, value)
    assert project.run("init", "--site", "demo", "--requirement", "x==1", "--commit").code == 0
    assert "publisher.toml" in project.folder.git("diff", "--name-only")


def test_a_gitignore_that_is_there_gets_a_line(tmp_path: Path) -> None:
    """Its own lines stay, with --overwrite too; what somebody has not committed of it is not committed."""
    folder = GitFolder.create(tmp_path / "work")
    folder.commit({".gitignore": "*.pyc"})
    for key, value in [("user.name", "a"), ("user.email", "a@example.org")]:
        folder.git("config", key, value)
    arguments = ("init", "--site", "my-site", "--requirement", "x==1", "--commit", "--overwrite")
    assert Project(folder).run(*arguments).code == 0
    lines = folder.git("show", "HEAD:.gitignore").splitlines()
    assert (lines[0], lines[-1]) == ("*.pyc", "dist/")
    assert "same     .gitignore" in Project(folder).run(*arguments).out
    (folder.path / ".gitignore").write_text("secret\n")
    done = Project(folder).run(*arguments)
    assert done.code == 0, done.err
    assert (folder.path / ".gitignore").read_text().splitlines()[-1] == "dist/"
    assert "secret" not in folder.git("show", "HEAD:.gitignore")


def test_init_writes_nothing_outside_the_repository(tmp_path: Path) -> None:
    """A folder that is a link somewhere else is named, and nothing is written there or here."""
    project = Project.create(tmp_path, remote=False)
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.folder.path / ".github").symlink_to(outside)
    done = project.run("init", "--site", "demo", "--requirement", "x==1", "--action", f"o/r@{COMMIT}", "--overwrite")
    assert (done.code, list(outside.iterdir())) == (2, [])
    assert "a folder on its way is a link" in done.err
    assert project.folder.git("diff", "--name-only") == ""


def test_a_hint_of_init_can_be_pasted(tmp_path: Path) -> None:
    """The name of a model may hold anything that a shell would run."""
    (tmp_path / "a b").mkdir()
    gguf(tmp_path / "a b" / "$(id).gguf")
    gguf(tmp_path / "z.gguf")
    with pytest.raises(UsageError) as raised:
        starter.find_model(tmp_path, "")
    assert raised.value.hint == "--model 'a b/$(id).gguf'"
