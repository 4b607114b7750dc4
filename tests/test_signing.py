from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from publisher.errors import UsageError
from publisher.git import signatures, signing
from publisher.ledger.store import author
from publisher.publishing.failures import Failures
from publisher.publishing.signatures import Signed, signed
from tests.made import GitFolder
from tests.shelf import Shelf, shelf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new signing key, which is configured."""
    made = new_key(tmp_path / "key")
    monkeypatch.setenv(signing.VARIABLE, str(made))
    return made


@pytest.fixture
def stage(tmp_path: Path, key: Path) -> Iterator[Shelf]:
    """Return a shelf whose branch `main` lists the key."""
    with shelf(tmp_path) as on:
        on.folder.commit({"signers": allowed(key)}, "Sign")
        yield on


def new_key(path: Path, passphrase: str = "") -> Path:
    """Make an SSH key, and return its file."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "us", "-f", path], check=True)
    return path


def allowed(key: Path, options: str = 'namespaces="git,publisher-manifest"') -> str:
    """Return the line of a list of allowed signers that allows a key."""
    return f"us@example.invalid {options} {key.with_suffix('.pub').read_text()}"


def written(folder: GitFolder, message: str = "One\n") -> str:
    """Return a commit as the ledger writes them."""
    return folder.opened.write_commit({"a": b"b"}, message=message, author=author(1_700_000_000))


def state(folder: GitFolder, commit: str, tmp_path: Path, lines: str) -> str:
    """Return what a commit's signature is worth by some lines of a list."""
    (tmp_path / "list").write_text(lines)
    return signatures.states(folder.opened, [commit], tmp_path / "list")[commit]


def looked_at(on: Shelf) -> list[Signed]:
    """Return what every signature of a shelf is worth."""
    failures = Failures(on.notes.append)
    on.project.ledger.sync()
    found = list(signed(on.project, [run for run in on.project.runs() if run.receipt], failures))
    failures.check("verified")
    return found


def test_without_a_key_commits_keep_their_bytes(repository: GitFolder) -> None:
    """Everybody without a key makes the same commit, and it is the one that older publishers made."""
    assert written(repository) == "264d05a2c186d9268a80b4b82ea79001e516ea5f"


def test_a_commit_is_signed_as_git_signs(repository: GitFolder, key: Path, tmp_path: Path) -> None:
    """Git itself finds the signature good, and the commit is the unsigned one in everything else."""
    commit = written(repository)
    (tmp_path / "list").write_text(allowed(key))
    repository.git("-c", f"gpg.ssh.allowedSignersFile={tmp_path / 'list'}", "verify-commit", commit)
    assert state(repository, commit, tmp_path, allowed(key)) == "good"
    shown = repository.opened.commit(commit)
    assert (shown.message, shown.time, shown.author) == ("One\n", 1_700_000_000, "publisher")
    assert written(repository) == commit


def test_gits_own_settings_sign_as_well(repository: GitFolder, tmp_path: Path) -> None:
    """With gpg.format ssh, commit.gpgSign and user.signingKey nothing else is needed; an empty variable ends that."""
    key = new_key(tmp_path / "own")
    for name, value in {"gpg.format": "ssh", "commit.gpgSign": "true", "user.signingKey": str(key)}.items():
        repository.git("config", name, value)
    assert state(repository, written(repository), tmp_path, allowed(key)) == "good"
    os.environ[signing.VARIABLE] = ""
    try:
        assert state(repository, written(repository), tmp_path, allowed(key)) == "unsigned"
    finally:
        del os.environ[signing.VARIABLE]


def test_the_states_of_commits_are_told_apart(repository: GitFolder, key: Path, tmp_path: Path) -> None:
    """Unsigned, by an unknown signer, expired, changed after signing, and OpenPGP's form, which is none of ours."""
    commit = written(repository)
    other = new_key(tmp_path / "other")
    assert state(repository, commit, tmp_path, allowed(other)) == "unknown"
    assert state(repository, commit, tmp_path, allowed(key, 'valid-before="20200101"')) == "unknown"
    raw = repository.opened.run("cat-file", "commit", commit)
    changed = repository.opened.text("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw.replace(b"One", b"Two"))
    assert state(repository, changed, tmp_path, allowed(key)) == "bad"
    pgp = raw.replace(b"SSH SIGNATURE", b"PGP SIGNATURE")
    pgp_commit = repository.opened.text("hash-object", "-t", "commit", "-w", "--stdin", stdin=pgp)
    assert state(repository, pgp_commit, tmp_path, allowed(key)) in {"unsigned", "bad"}


def test_a_log_that_shows_signatures_is_read_alike(repository: GitFolder, key: Path, tmp_path: Path) -> None:
    """With `log.showSignature` git writes lines for people among ours."""
    repository.git("config", "log.showSignature", "true")
    repository.git("config", "gpg.ssh.allowedSignersFile", str(tmp_path / "list"))
    commit = written(repository)
    assert state(repository, commit, tmp_path, allowed(key)) == "good"
    assert [sha for sha, _ in signatures.entries(repository.opened, commit)][-1] == commit


@pytest.mark.parametrize("kind", ["missing", "locked", "no key"])
def test_a_key_that_cannot_sign_is_one_message_and_nothing_is_written(
    stage: Shelf, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is named with what to do, no passphrase is asked for, and neither ledger nor branches have moved."""
    before = stage.remote("for-each-ref"), stage.folder.git("branch")
    path = tmp_path / "bad"
    if kind == "locked":
        new_key(path, "secret")
    elif kind == "no key":
        path.write_text("not a key\n")
    monkeypatch.setenv(signing.VARIABLE, str(path))
    with pytest.raises(UsageError) as caught:
        stage.enter()
    assert str(path) in caught.value.message
    assert signing.VARIABLE in caught.value.hint
    with pytest.raises(UsageError):
        signing.require(stage.project.repository.setting)
    assert (stage.remote("for-each-ref"), stage.folder.git("branch")) == before


def test_what_is_published_with_a_key_is_signed_from_end_to_end(stage: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries, snapshot and manifest are good; ssh-keygen alone confirms the manifest; unsigned entries are faults."""
    receipt = stage.publish(more='[ledger]\nsigners = "signers"')
    found = looked_at(stage)
    assert {one.state for one in found} == {"good"}
    assert {one.kind for one in found} == {"entry", "snapshot", "manifest"}
    assert not any(one.fault for one in found)
    assert stage.project.ledger.has(f"runs/{receipt.run_id}/receipt-1.sig")
    done = stage.user.run("verify", "--signatures", receipt.snapshot)
    assert done.code == 0, done.err
    assert f"✓ good      manifest {receipt.snapshot}" in done.out
    # Somebody without the key writes to the ledger.
    monkeypatch.setenv(signing.VARIABLE, "")
    stage.forge({"labels/x.json": {"schema": 1}})
    assert [one.state for one in looked_at(stage) if one.fault] == ["unsigned"]
    done = stage.user.run("verify", "--signatures", "--json")
    assert done.code == 3
    assert "1 unsigned after the first good signature" in done.err


def test_what_was_unsigned_before_the_key_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history may begin unsigned; a forged signature and another's key are faults wherever they are."""
    key = new_key(tmp_path / "key")
    with shelf(tmp_path) as on:
        first = on.publish()
        monkeypatch.setenv(signing.VARIABLE, str(key))
        on.folder.commit({"signers": allowed(key)}, "Sign")
        on.publish(more='[ledger]\nsigners = "signers"')
        found = looked_at(on)
        assert not any(one.fault for one in found)
        assert {one.state for one in found} == {"good", "unsigned"}
        monkeypatch.setenv(signing.VARIABLE, str(new_key(tmp_path / "stranger")))
        on.forge({f"runs/{first.run_id}/receipt-1.sig": b"-----BEGIN SSH SIGNATURE-----\nAAAA\n"})
        faults = {(one.kind, one.state) for one in looked_at(on) if one.fault}
        assert faults == {("entry", "unknown"), ("manifest", "bad")}


def test_without_a_list_nothing_is_checked(tmp_path: Path) -> None:
    """The message says what to add to publisher.toml."""
    with shelf(tmp_path) as on:
        on.enter()
        done = on.user.run("verify", "--signatures")
        assert done.code == 2
        assert "names no list of signers" in done.err
