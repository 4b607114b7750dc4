"""Bad input as a user meets it: one clear message, the right exit code, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from publisher.bench.inputs.builtin_files import BUILTIN
from publisher.cli import COMMANDS
from publisher.files import sha256_file
from publisher.host import HostInfo, HostOptions, running
from publisher.publishing.project import Project as Opened
from tests.fault_proxy import fault_proxy
from tests.made import GitFolder
from tests.project import PUBLISHER, Done, Project, config
from tests.scripted import answer, scripted

FINAL = BUILTIN / "abacus-final-q8_0.gguf"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with a remote and no host."""
    return Project.create(tmp_path)


@pytest.fixture
def host(project: Project, tmp_path: Path) -> Iterator[HostInfo]:
    """Serve the project's site with builds that take no time."""
    quick = '[build]\ncommand = "mkdir -p dist && echo no such package && exit 3"\npublish = "dist"\n'
    project.folder.commit({"netlify.toml": quick})
    options = HostOptions(state=tmp_path / "host", site="demo", repository=str(tmp_path / "origin.git"), port=0)
    with running(options) as info:
        project.connect(info)
        yield info


def refused(done: Done, code: int, *words: str) -> None:
    """Assert that a command ended with `code` and one message that holds `words`."""
    assert done.code == code, done.err
    assert done.err.count("error:") == 1, done.err
    for word in words:
        assert word in done.err, done.err


def no_debris(project: Project) -> None:
    """Assert that nothing of a failed run is left in the user's folder or in ours."""
    assert project.folder.git("status", "--porcelain") == ""
    ours = project.folder.path / ".git" / "publisher"
    assert [path for path in ours.rglob("*") if path.is_file() and path.suffix != ".jsonl"] == []


def test_help_lists_every_command() -> None:
    """The first thing that somebody types shows what there is."""
    done = subprocess.run([PUBLISHER, "--help"], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """Each command's module loads and says what it does."""
    done = subprocess.run([PUBLISHER, name, "--help"], capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout


def test_a_file_that_the_system_refuses_is_one_clear_error(project: Project) -> None:
    """A folder where a file of ours should be: the message names it, and there is no traceback."""
    strange = project.folder.path / ".git" / "publisher" / "audit.jsonl"
    strange.mkdir(parents=True)
    refused(project.run("verify", "--fresh"), 3, str(strange), "directory")


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_leads_nowhere(project: Project, closed: str) -> None:
    """A job that closes stdout is no verdict of the gate: neither a traceback nor exit code 1."""
    line = f'"$0" log {closed}'
    done = subprocess.run(["bash", "-c", line, PUBLISHER], cwd=project.folder.path, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_help_loads_nothing_heavy() -> None:
    """Neither git, nor HTTP, nor llama.cpp is imported to print help."""
    heavy = ("git", "requests", "llama_cpp", "numpy", "rich")
    code = f"import publisher.cli, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["bench", "gate", "publish"])
def test_a_commit_without_configuration(tmp_path: Path, command: str) -> None:
    """The message names the commit and the file, and the hint the command that writes one."""
    folder = GitFolder.create(tmp_path / "work")
    folder.commit({"a": "1"})
    refused(Project(folder).run(command), 2, "has no publisher.toml", "publisher init")


def test_all_mistakes_of_a_configuration(project: Project) -> None:
    """One run shows every mistake."""
    wrong = config().replace("context", "contxt").replace('"threshold"', '"treshold"')
    project.folder.commit({"publisher.toml": wrong})
    refused(project.run("bench"), 2, "2 mistakes", "did you mean 'context'?", "did you mean 'threshold'?")


def test_an_unknown_revision(project: Project) -> None:
    """A revision that names nothing is a usage error."""
    refused(project.run("bench", "nowhere"), 2, "no commit is called 'nowhere'")


def test_a_missing_suite(project: Project) -> None:
    """A suite that the commit does not have is named."""
    project.folder.commit({"publisher.toml": config().replace("small.jsonl", "missing.jsonl")})
    refused(project.run("bench"), 2, "missing.jsonl")


def test_a_broken_suite(project: Project) -> None:
    """Every mistake of a suite is named with its line."""
    project.folder.commit(
        {
            "small.jsonl": '{"id": "a", "problem": "p", "answer": "1"}\n'
            '{"id": "a", "problem": "p", "answer": "1"}\n{"id": "b", "problem": "p", "answer": ""}\n'
        }
    )
    refused(project.run("bench"), 2, "line 2", "line 3", "is empty")
    no_debris(project)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "abacus.gguf"),
        (b"not a model at all" * 9, "GGUF"),
        (FINAL.read_bytes()[:5000], "abacus.gguf"),
        (FINAL.read_bytes()[:-1], "abacus.gguf"),
        (FINAL.read_bytes().replace(b"llama", b"nolla", 1), "nolla"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "LFS"),
    ],
)
def test_a_model_that_cannot_be_loaded(project: Project, data: bytes, words: str) -> None:
    """Empty, foreign, cut, of an unknown architecture, or only a pointer: one message, nothing recorded."""
    project.folder.commit({"publisher.toml": config("abacus.gguf"), "abacus.gguf": data})
    refused(project.run("bench"), 3, words)
    no_debris(project)


def test_a_model_with_another_digest(project: Project) -> None:
    """A wrong sha256 is refused, and both digests are shown."""
    wrong = config().replace("[model.sampling]", f'sha256 = "{"0" * 64}"\n[model.sampling]')
    project.folder.commit({"publisher.toml": wrong})
    refused(project.run("bench"), 2, "0" * 64)


def test_a_prompt_that_does_not_fit(project: Project) -> None:
    """Prompts longer than the context fail the run, loudly, instead of scoring as wrong."""
    long = config().replace("{problem} Let's", "{problem} " + "very " * 600 + "Let's")
    project.folder.commit({"publisher.toml": long})
    refused(project.run("bench"), 3, "context")


def test_a_dirty_tree_is_recorded(project: Project) -> None:
    """The commit is what is measured, and the record says that the folder differed."""
    (project.folder.path / "small.jsonl").write_text("edited")
    done = project.run("bench", "--json")
    assert done.code == 0, done.err
    assert done.json["commit"]["dirty"] is True


def test_a_gate_without_a_run(project: Project) -> None:
    """The gate says which command comes first."""
    refused(project.run("gate"), 2, "has not been measured", "publisher bench")


def test_a_hint_can_be_typed(project: Project) -> None:
    """What a hint repeats of the command line is quoted for the shell."""
    refused(project.run("gate", "HEAD^{/First; rm -rf ~}~0"), 2, "no commit is called")
    refused(project.run("gate", "HEAD@{0}~0"), 2, "publisher bench 'HEAD@{0}~0'")


@pytest.mark.parametrize("site", ['x"\nevil = "', "UPPER", "-x", "a" * 38, ""])
def test_init_with_an_impossible_site(tmp_path: Path, site: str) -> None:
    """A name that no site can have is refused before any file is written."""
    folder = GitFolder.create(tmp_path / "work")
    folder.commit({})
    refused(Project(folder).run("init", "--site", site), 2, "cannot be a Netlify site's name")
    assert folder.git("status", "--porcelain") == ""


def test_publish_without_a_hook(project: Project) -> None:
    """What could not be published is refused before any time is spent on measuring."""
    refused(project.run("publish"), 2, "NETLIFY_BUILD_HOOK")


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        (answer(404), 3, "does not exist any more"),
        (answer(302, Location="https://evil.example/"), 3, "redirect"),
        (answer(400), 3, "answered 400"),
    ],
)
def test_a_hook_that_refuses(project: Project, step: bytes, code: int, words: str) -> None:
    """The run is recorded and kept, the message says what the hook did, and the next publish goes on."""
    with scripted(step) as server:
        project.environment = {
            "NETLIFY_API_URL": server.url,
            "NETLIFY_BUILD_HOOK": f"{server.url}/build_hooks/0123456789abcdef01234567",
        }
        with fault_proxy(server.port):
            done = project.run("publish")
    assert done.code == code
    assert "0123456789abcdef01234567" not in done.err + done.out
    assert [run["verdict"] for run in project.log()] == ["kept"]


def test_a_build_that_fails_shows_its_log(project: Project, host: HostInfo) -> None:
    """The build's own words are in the message, and running again does not measure again."""
    refused(project.run("publish"), 3, "ended as error", "no such package")
    again = project.run("publish")
    assert again.code == 3
    assert "samples of" not in again.err


def test_a_remote_that_is_gone(project: Project, tmp_path: Path) -> None:
    """The failed git command is shown whole, and the measured run is not lost."""
    shutil.rmtree(tmp_path / "origin.git")
    environment = {"NETLIFY_BUILD_HOOK": "https://api.netlify.com/build_hooks/0123456789abcdef01234567"}
    project.environment = environment
    refused(project.run("publish"), 3, "$ git ls-remote", "exit code 128")


def test_a_full_disk_leaves_nothing_half_written(project: Project, tmp_path: Path) -> None:
    """On a file system with no room, the message says so and the next run, with room, succeeds."""
    small = project.folder.path / ".git" / "publisher"
    small.mkdir()
    script = f"mount -t tmpfs -o size=16k tmpfs {small} && exec {PUBLISHER} --repo {project.folder.path} bench"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody mount a small file system")
    assert done.returncode == 3, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.run("bench").code == 0


def test_quantize_writes_a_model_with_its_origin(tmp_path: Path) -> None:
    """The new file loads as what it says it is, and its digest and source stand beside it."""
    command = [str(PUBLISHER), "quantize", str(FINAL), "--to", "Q4_K_M", "--requantize", "--into", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    target = tmp_path / "abacus-final-q4_k_m.gguf"
    origin = json.loads((tmp_path / f"{target.name}.origin.json").read_text(encoding="utf-8"))
    assert (origin["quantization"], origin["sha256"]) == ("Q4_K_M", sha256_file(target))
    assert origin["source_sha256"] == sha256_file(FINAL)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.gguf", "--to", "Q8_0"], "there is no file"),
        ([str(FINAL), "--to", "Q9"], "is not a quantization"),
        ([str(FINAL), "--to", "Q4_0"], "quantized"),
    ],
)
def test_quantize_refuses(tmp_path: Path, arguments: list[str], words: str) -> None:
    """A missing file, an unknown kind and a source that is quantized itself are refused with a reason."""
    command = [str(PUBLISHER), "quantize", *arguments, "--into", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {2, 3}
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_what_the_engine_does() -> None:
    """The report names the build and says how many layers are offloaded, whether or not there is a GPU."""
    done = subprocess.run([PUBLISHER, "doctor", "--engine", "--json"], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["loaded"]
    assert report["repeatable"]
    assert report["library"]["build"]


def test_init_leaves_existing_files_alone(tmp_path: Path) -> None:
    """What is there stays; what is missing is written and is valid."""
    folder = GitFolder.create(tmp_path / "work")
    folder.commit({"netlify.toml": "mine"})
    done = Project(folder).run("init", "--site", "my-site")
    assert done.code == 0, done.err
    assert (folder.path / "netlify.toml").read_text() == "mine"
    assert os.access(folder.path / "hooks" / "netlify-build", os.X_OK)
    folder.commit({})
    refused(Project(folder).run("gate"), 2, "has not been measured")


@pytest.mark.parametrize("command", ["log", "snapshots", "live", "reconcile", "verify", "pin", "prune"])
def test_an_empty_repository_is_no_error(project: Project, command: str) -> None:
    """Every listing works before there is anything to list."""
    assert project.run(command).code == 0


def test_rendering_what_is_no_snapshot(project: Project) -> None:
    """A plain commit says what a snapshot is instead of failing on a missing file."""
    refused(project.run("render", "--into", str(project.folder.path / "dist")), 2, "not a snapshot")
    assert not (project.folder.path / "dist").exists()


def test_a_dry_run_leaves_no_trace_in_the_ledger(project: Project) -> None:
    """Publishing can be rehearsed without a hook: verdict and exit code are the real ones, nothing is written."""
    done = project.run("publish", "--dry-run")
    assert (done.code, "would be recorded" in done.out) == (0, True)
    told = project.run("publish", "--dry-run", "--json").json
    assert (told["news"], told["verdict"]["verdict"], told["receipt"]) == ("dry run", "kept", None)
    assert told["would"].startswith("would be recorded")
    assert project.folder.git("for-each-ref", "refs/heads/ledger") == ""
    assert project.run("reconcile", "--dry-run").out == ""


@pytest.mark.parametrize("address", ["../origin.git", "https://git.example/o.git", "git@git.example:o.git"])
def test_serve_clones_from_where_git_would(tmp_path: Path, address: str) -> None:
    """A path is relative to the repository's root, as git reads it; anything else is left as it is."""
    from publisher.cli.serve import _source  # noqa: PLC0415 - needs the extra

    folder = GitFolder.create(tmp_path / "work")
    folder.commit({"a": "1"})
    GitFolder.create(tmp_path / "origin.git", bare=True)
    folder.git("remote", "add", "origin", address)
    found = _source(Opened.open(folder.path, {}))
    assert found == (str(tmp_path / "origin.git") if address.startswith("..") else address)
