"""`import publisher`: what a notebook or a script gets, against a site on loopback and a real repository."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import publisher
from publisher.api import answers
from publisher.bench import plan
from publisher.errors import DeployError, ModelError, NetworkError, PublisherError, StorageError, UsageError
from publisher.render import build
from publisher.samples import unpack_samples
from tests import entered, made
from tests.pages import Pages, site_fixture
from tests.project import Project
from tests.trees import snapshot_tree, source

if TYPE_CHECKING:
    from pathlib import Path

    from publisher.schema import Record, Sample
    from tests.made import GitFolder

__all__ = ["site_fixture"]


@pytest.fixture
def record(repository: GitFolder) -> Record:
    """Return the record of a run that is in the ledger of `repository`."""
    return entered.enter(repository, right=30)


def python(code: str) -> str:
    """Run a program of its own and return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_else() -> None:
    """Neither libraries nor rooms but the version are loaded before the first function is used."""
    loaded = python("import publisher, sys; print(*sys.modules)").split()
    assert "publisher" in loaded
    assert [name for name in loaded if name.partition(".")[0] in {"click", "git", "msgspec", "requests", "rich"}] == []
    assert [name for name in loaded if name.startswith("publisher.")] == ["publisher.version"]


def test_functions_keep_their_names_whatever_was_imported() -> None:
    """Rooms have the names `bench` and `ledger` as well; importing them hides no function."""
    for code in (
        "from publisher.ledger import store; from publisher.bench import plan; import publisher",
        "import publisher; publisher.ledger; from publisher.ledger import store; from publisher.bench import plan",
    ):
        assert python(f"{code}; print(publisher.ledger.__name__, publisher.bench.__name__, store.BRANCH)") == (
            "ledger bench refs/heads/ledger"
        )


def test_everything_that_is_offered_is_there() -> None:
    """Each name of `__all__` can be had, is listed, and says in a sentence what it is."""
    for name in publisher.__all__:
        assert getattr(publisher, name) is not None
        assert name in dir(publisher)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = publisher.nothing  # type: ignore[attr-defined]


def test_a_snapshot_is_proven_by_the_digest_of_its_manifest(site: Pages, record: Record) -> None:
    """With the digest the result is proven; its values are typed."""
    digest = entered.publish(site, record)
    shown = publisher.snapshot(f"{site.url}/", manifest=digest)
    assert (shown.proof, shown.proven, shown.manifest_sha256) == ("manifest", True, digest)
    assert shown.record == record
    assert [line.run_id for line in shown.history] == [record.run_id]
    assert shown.read("index.html") == b"<h1>x</h1>"
    assert set(shown.files) == {"snapshot.json", "history.json", "index.html"}


def test_a_long_history_is_put_together(site: Pages, record: Record) -> None:
    """It is in parts, which are checked like every other file."""
    past = [made.line(f"20261101T{number:06d}Z-0123456789ab-full", 70.0) for number in range(20)]
    entered.publish(site, record, past=past)
    assert len(publisher.snapshot(site.url).history) == 21
    (part,) = (name for name in site.files if name.startswith("lines/"))
    site.files[part] += b" "
    with pytest.raises(DeployError, match="is not what the manifest lists"):
        publisher.snapshot(site.url)


def test_the_hosts_own_manifest_proves_nothing(site: Pages, record: Record) -> None:
    """Whoever controls the host could have changed everything together, and the result says so."""
    entered.publish(site, record)
    shown = publisher.snapshot(site.url)
    assert (shown.proof, shown.proven) == ("unproven", False)
    assert "unproven" in repr(shown)


def test_a_receipt_proves_a_snapshot_and_gives_its_answers(site: Pages, repository: GitFolder, record: Record) -> None:
    """The ledger of a clone names the manifest, and has every sample."""
    entered.publish(site, record)
    entered.receive(repository, record, site)
    shown = publisher.snapshot(site.url, repo=repository.path)
    assert shown.proof == "receipt"
    assert [sample.outcome for sample in shown.samples].count("right") == 30


def test_an_address_without_a_receipt_is_not_proven_by_a_repository(
    site: Pages, repository: GitFolder, record: Record
) -> None:
    """Asked for a proof that is not there, it is an error rather than an unproven result."""
    entered.publish(site, record)
    with pytest.raises(UsageError, match="no receipt"):
        publisher.snapshot(site.url, repo=repository.path)


def test_a_receipt_of_another_run_proves_nothing(site: Pages, repository: GitFolder, record: Record) -> None:
    """A ledger that names this site's manifest for a run that the site does not show is found out."""
    other = entered.enter(repository, right=10)
    entered.publish(site, record)
    entered.receive(repository, other, site)
    with pytest.raises(DeployError, match=f"not {other.run_id}"):
        publisher.snapshot(site.url, repo=repository.path)


def test_a_site_that_was_rebuilt_since_its_receipt_is_found_out(
    site: Pages, repository: GitFolder, record: Record
) -> None:
    """A host that changes a page and the manifest with it serves another manifest than the receipt's."""
    digest = entered.publish(site, record)
    entered.receive(repository, record, site)
    site.files["index.html"] = b"<h1>better</h1>"
    site.list()
    for proof in ({"repo": repository.path}, {"manifest": digest}):
        with pytest.raises(DeployError, match="another manifest"):
            publisher.snapshot(site.url, **proof)


@pytest.mark.parametrize("path", ["snapshot.json", "history.json"])
def test_a_file_that_is_not_the_manifests_is_found_out(site: Pages, record: Record, path: str) -> None:
    """What is handed out agrees with the manifest, byte for byte."""
    digest = entered.publish(site, record)
    site.files[path] = site.files[path].replace(b"2026", b"2027", 1)
    with pytest.raises(DeployError, match=f"{path} is not what the manifest lists"):
        publisher.snapshot(site.url, manifest=digest)


def test_the_whole_site_is_verified_when_asked_for(site: Pages, record: Record) -> None:
    """A page that was damaged does not spoil the values, but `verify` names it."""
    shown = publisher.snapshot(site.url, manifest=entered.publish(site, record))
    assert shown.verify().files == 3
    site.files["index.html"] = b"<h1>y</h1>"
    with pytest.raises(DeployError) as caught:
        shown.verify()
    assert "index.html" in caught.value.detail


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("manifest.json", b"[" * 100_000),
        ("manifest.json", b'{"schema":1,"files":{}}'),
        ("snapshot.json", b"{}"),
        ("snapshot.json", b"[" * 100_000),
        ("history.json", b'{"schema":1,"site":"","headline":"","lines":[]}'),
    ],
)
def test_hostile_files_are_one_message(site: Pages, record: Record, path: str, body: bytes) -> None:
    """Deep nesting, missing files and other values, in a manifest that agrees with itself, come to a DeployError."""
    entered.publish(site, record)
    site.files[path] = body
    if path != "manifest.json":
        site.list()
    with pytest.raises(DeployError):
        publisher.snapshot(site.url)


def test_a_file_far_over_its_size_is_not_read(site: Pages, record: Record) -> None:
    """The manifest bounds what is read of each file."""
    digest = entered.publish(site, record)
    site.files["history.json"] = b" " * (3 << 20)
    with pytest.raises(NetworkError, match="larger than"):
        publisher.snapshot(site.url, manifest=digest)


def test_parts_of_several_runs_are_no_snapshot(site: Pages, repository: GitFolder, record: Record) -> None:
    """A site whose verdict is another run's is rejected, however well its manifest fits."""
    other = entered.enter(repository, right=10)
    entered.publish(site, record, made.verdict(other))
    with pytest.raises(DeployError, match="several runs"):
        publisher.snapshot(site.url)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://example.org/scores/", "a page of a site"),
        ("https://example.org?x", "a page of a site"),
        ("ftp://example.org", "not https"),
        ("https://user@example.org", "user information"),
        ("example.org", "not https"),
    ],
)
def test_an_address_that_cannot_be_used_says_why(address: str, said: str) -> None:
    """Nothing is sent to it."""
    with pytest.raises(UsageError, match=said):
        publisher.snapshot(address)


def test_a_digest_of_another_form_is_an_error(site: Pages) -> None:
    """A mistyped digest must not turn into an unproven result."""
    with pytest.raises(UsageError, match="not a SHA-256"):
        publisher.snapshot(site.url, manifest="abc")


def test_the_ledger_gives_typed_values(repository: GitFolder, record: Record) -> None:
    """Runs come in order, with records and answers read when they are asked for."""
    second = entered.enter(repository, right=20)
    opened = publisher.ledger(repository.path)
    runs = opened.runs()
    assert [run.run_id for run in runs] == [record.run_id, second.run_id]
    assert runs[0].record == record
    assert [line.scores["s"].score for line in opened.history] == [75.0, 50.0]
    assert runs[1].samples == entered.samples(20)
    assert (runs[0].state, runs[0].receipt) == ("unfinished", None)
    assert opened.run(second.commit.sha[:12]).run_id == second.run_id
    with pytest.raises(UsageError, match="names no run"):
        opened.run("nothing")


def test_the_ledger_of_a_fresh_clone_is_the_fetched_one(repository: GitFolder, record: Record, tmp_path: Path) -> None:
    """A clone has only the remote's branch; no remote is asked, so it works without one."""
    bare = repository.with_remote(tmp_path / "origin.git")
    repository.git("push", "--quiet", "origin", "ledger")
    repository.git("clone", "--quiet", str(bare.path), str(tmp_path / "clone"))
    bare.path.rename(tmp_path / "away.git")
    assert [run.run_id for run in publisher.ledger(tmp_path / "clone").runs()] == [record.run_id]


def test_private_answers_have_no_words(repository: GitFolder) -> None:
    """Whatever an older publisher stored of a private suite, a notebook is not where it comes out."""
    entered.enter(repository, right=30, public=False)
    (run,) = publisher.ledger(repository.path).runs()
    assert {(sample.text, sample.answer, sample.expected) for sample in run.samples} == {("", "", "")}
    assert [sample.outcome for sample in run.samples].count("right") == 30


def test_compare_is_what_diff_prints(repository: GitFolder, record: Record) -> None:
    """One comparison serves the terminal, the site and Python."""
    second = entered.enter(repository, right=20)
    before, after = publisher.ledger(repository.path).runs()
    found = publisher.compare(before, after)
    (suite,) = found.suites
    assert (suite.base_score, suite.score, len(suite.turned_wrong)) == (75.0, 50.0, 10)
    printed = Project(repository).run("diff", record.run_id, second.run_id, "--json").json
    assert json.loads(msgspec.json.encode(found)) == printed


def test_snapshots_can_be_compared_with_runs(site: Pages, repository: GitFolder, record: Record) -> None:
    """A published snapshot stands beside a run of one's own, without a clone of its repository."""
    entered.publish(site, record)
    entered.enter(repository, right=20)
    mine = publisher.ledger(repository.path).runs()[1]
    found = publisher.compare(publisher.snapshot(site.url), mine)
    assert (found.base.run_id, found.suites[0].score) == (record.run_id, 50.0)


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_values_become_data_frames(repository: GitFolder, record: Record, library: Any) -> None:
    """Records, runs, lines of history, samples and comparisons have rows and named columns."""
    pytest.importorskip(library)
    entered.enter(repository, right=20)
    opened = publisher.ledger(repository.path)
    before, after = opened.runs()
    assert list(publisher.frame(opened.history, library)["score"]) == [75.0, 50.0]
    assert list(publisher.frame(opened.runs(), library)["state"]) == ["unfinished", "unfinished"]
    assert list(publisher.frame(record, library)["right"]) == [30]
    assert list(publisher.frame(before.samples, library)["outcome"]).count("right") == 30
    assert list(publisher.frame(publisher.compare(before, after), library)["turned_wrong"]) == [10]
    assert type(publisher.frame([], library)).__module__.startswith(library)


def test_without_a_library_a_frame_says_what_to_install(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither library is a dependency."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(UsageError) as caught:
        publisher.frame(record, "polars")
    assert caught.value.hint == "pip install polars"
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="neither polars nor pandas"):
        publisher.frame(record)


def test_values_of_other_kinds_have_no_rows() -> None:
    """It names what it was given and what it takes."""
    with pytest.raises(UsageError, match="str has no rows"):
        publisher.frame(["x"])  # type: ignore[list-item]


def test_outside_a_repository_is_an_error(tmp_path: Path) -> None:
    """Every error is a PublisherError with a hint."""
    with pytest.raises(PublisherError) as caught:
        publisher.ledger(tmp_path)
    assert caught.value.exit_code == 2


def test_without_the_engine_bench_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core install measures nothing."""
    project = Project.create(tmp_path, remote=False)
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    plan.engine_build.cache_clear()  # another test of this process may have asked for it
    with pytest.raises(ModelError) as caught:
        publisher.bench(project.folder.path)
    assert "snapshot-publisher[bench]" in caught.value.hint


@pytest.mark.model
def test_bench_measures_a_commit(tmp_path: Path) -> None:
    """It returns a pending run with its answers, and finds it the second time."""
    project = Project.create(tmp_path, remote=False)
    notes: list[str] = []
    run = publisher.bench(project.folder.path, note=notes.append)
    assert (run.state, run.line.scores["small"].score > 40) == ("pending", True)
    assert len(run.samples) == 48
    assert publisher.ledger(project.folder.path).runs() == []
    again = publisher.bench(project.folder.path, "HEAD", note=notes.append)
    assert again.run_id == run.run_id
    assert any("measured this commit already" in note for note in notes)


@pytest.fixture(name="rendered", scope="module")
def rendered_fixture(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], list[Sample]]:
    """Return the files of a whole site with hostile answers, and the samples that it was made of."""
    tree = snapshot_tree(tmp_path_factory.mktemp("site"), runs=2, problems=20, hostile=True)
    return build(source(tree)), list(unpack_samples((tree / "ledger/samples.jsonl.gz").read_bytes()))


def test_a_site_gives_the_answers_that_it_publishes(
    site: Pages, rendered: tuple[dict[str, bytes], list[Sample]]
) -> None:
    """Without a clone: every answer of the public suites, checked like every file, as typed values."""
    files, stored = rendered
    site.files |= files
    found = publisher.snapshot(site.url).samples
    public = [sample for sample in stored if sample.suite == "words"]
    assert len(found) == len(public) > 0
    for one, other in zip(found, public, strict=True):
        told = msgspec.to_builtins(other)
        for name in ("suite", "problem", "sample", "seed", "outcome", "finish", "tokens", "prompt_tokens", "kind"):
            assert getattr(one, name) == told[name]
        assert (one.answer, one.expected, one.statement) == (other.answer, other.expected, other.statement)
        assert (one.text, one.clipped) == (other.text[-len(one.text) :], other.clipped)
        assert one.latency == pytest.approx(other.latency, abs=1e-3)
    site.files["every_eval_ever_samples.jsonl"] += b"\n"
    with pytest.raises(DeployError, match="is not what the manifest lists"):
        _ = publisher.snapshot(site.url).samples


@pytest.mark.parametrize(
    "spoil",
    [b"{", b"[]", b'{"metadata": {}}', b"[" * 100_000, ("sample", "one"), ("seed", "9" * 5000), ("outcome", "grand")],
)
def test_answers_that_are_none_are_one_error(
    rendered: tuple[dict[str, bytes], list[Sample]], spoil: bytes | tuple[str, str]
) -> None:
    """Whatever a host lists as the file of answers, there is a sentence with the line, and no surprise."""
    first = rendered[0]["every_eval_ever_samples.jsonl"].splitlines()[0]
    if isinstance(spoil, bytes):
        line = spoil
    else:
        row = msgspec.json.decode(first)
        row["metadata"][spoil[0]] = spoil[1]
        line = msgspec.json.encode(row)
    with pytest.raises(StorageError, match="here, line 2: it is no answer"):
        list(answers.samples(first + b"\n" + line, "here"))
