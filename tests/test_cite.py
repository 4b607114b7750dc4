"""`publisher cite`: what papers print about a snapshot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pytest
import yaml

from publisher.ledger import history
from publisher.ledger.store import Ledger
from publisher.publishing.cite import bibtex, cff, citation, plain
from publisher.schema import Pruned
from tests import entered, made
from tests.pages import Pages
from tests.project import Project

if TYPE_CHECKING:
    from tests.made import GitFolder


@pytest.fixture
def published(repository: GitFolder) -> Project:
    """Return a project with one published snapshot, as its ledger tells."""
    record = entered.enter(repository, right=30)
    site = Pages(url="https://snapshot-0123456789ab--demo.netlify.app")
    entered.publish(site, record)
    entered.receive(repository, record, site)
    return Project(repository)


@pytest.mark.parametrize("form", ["bibtex", "cff", "plain"])
def test_every_form_has_address_digest_commit_and_score(published: Project, form: str) -> None:
    """Address and digest are the receipt's, so a reader can prove what they see."""
    (run,) = published.run("snapshots", "--json").json
    done = published.run("cite", run["snapshot"], "--format", form)
    assert done.code == 0, done.err
    for wanted in ("https://snapshot-0123456789ab--demo.netlify.app/", run["receipt"]["manifest_sha256"], "75.0 ± 6.0"):
        assert wanted in done.out
    assert run["commit"][:12] in done.out


def test_cff_is_valid_yaml_with_everything_that_cff_requires(published: Project) -> None:
    """Version, message, title and authors are what the format asks for."""
    (run,) = published.run("snapshots", "--json").json
    found = yaml.safe_load(published.run("cite", run["commit"], "--format", "cff").out)
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert (found["date-released"], found["authors"]) == ("2026-11-20", [{"name": "demo"}])


def test_hostile_names_mean_nothing_in_a_citation() -> None:
    """A model's name, a suite's and an address come from outside: none ends a field, a command or a line."""
    name = 'x} \\input{secret} $a$ 100% & _ # ~ ^\n"]: \x1b[2J'
    record = made.record()
    record = msgspec.structs.replace(
        record, model=msgspec.structs.replace(record.model, name=name), finished="yesterday}"
    )
    hostile = msgspec.structs.replace(made.RECEIPT, address='https://demo.netlify.app/}\\input{x}"%')
    found = citation(record, hostile, "s")
    text = bibtex(found)
    plainly = re.sub(r"\\[&%$#_{}]|\\text\w+\{\}", "", text)
    assert "\\input" not in text
    assert plainly.count("{") == plainly.count("}")
    assert (text.count("\n"), "\x1b" in text) == (5, False)
    document = yaml.safe_load(cff(found))
    assert document["url"] == "https://demo.netlify.app/%7D%5Cinput%7Bx%7D%22%25/"
    assert document["title"].startswith("x} \\input{secret}")
    assert "\n" not in plain(found)


def test_a_pruned_snapshot_cannot_be_cited(published: Project) -> None:
    """Its address leads nowhere; the message says how it comes back."""
    (run,) = published.run("snapshots", "--json").json
    entry = Pruned(
        run_id=run["run_id"],
        snapshot=run["snapshot"],
        commit="5" * 40,
        number=1,
        who="Test",
        time="2026-11-21T10:00:00Z",
    )
    assert Ledger(published.folder.opened).append(history.pruned_file(entry), "Pruned\n")
    done = published.run("cite", run["snapshot"])
    assert (done.code, "publisher verify --repair" in done.err) == (2, True), done.err


def test_a_snapshot_is_named_as_git_names_its_commit(published: Project) -> None:
    """HEAD, a tag or a branch of the user's means the snapshot of that commit."""
    (run,) = published.run("snapshots", "--json").json
    published.folder.git("tag", "handed-in", run["commit"])
    by_tag = published.run("cite", "handed-in")
    assert (by_tag.code, run["snapshot"] in by_tag.out) == (0, True), by_tag.err
    nowhere = published.run("cite", "handed-in^{tree}")
    assert (nowhere.code, "names no published snapshot" in nowhere.err) == (2, True)


def test_what_was_never_published_cannot_be_cited(repository: GitFolder) -> None:
    """A run without a receipt has no permanent address."""
    record = entered.enter(repository, right=30)
    done = Project(repository).run("cite", record.run_id)
    assert (done.code, "names no published snapshot" in done.err) == (2, True)
