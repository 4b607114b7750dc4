"""Signing with an SSH key: commits in git's own form, and other bytes as `ssh-keygen -Y verify` checks them.

The key is the file that `PUBLISHER_SIGNING_KEY` names, or git's own where `gpg.format` is `ssh`, `commit.gpgSign` is
true and `user.signingKey` names one. An empty `PUBLISHER_SIGNING_KEY` signs nothing. Whether a signature holds is told
by exit codes and by git's status letters (`%G?`), never by what a program writes for people.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from publisher.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Setting = Callable[[str], str]

VARIABLE = "PUBLISHER_SIGNING_KEY"
PROGRAM = "ssh-keygen"
MANIFESTS = "publisher-manifest"
"""The namespace of signatures over manifests: a signature for one purpose does not serve another."""
TIMEOUT = 120.0
"""Seconds for one signature: an agent may ask for a touch or a confirmation."""
_LITERAL = ("key::", "ssh-", "ecdsa-", "sk-")
"""What `user.signingKey` begins with where it is a public key and no file."""
_TRUE = {"true", "yes", "on", "1"}

State = Literal["good", "unsigned", "bad", "unknown"]
"""`unknown`: a valid signature by a key that the list does not name, or not for this time."""


def key_of(setting: Setting, environment: Mapping[str, str] = os.environ) -> str:
    """Return the key to sign with, a file or a public key whose other half an agent holds; empty for none.

    `setting` returns a value of git's configuration.
    """
    if VARIABLE in environment:
        return environment[VARIABLE].strip()
    wanted = setting("gpg.format").lower() == "ssh" and setting("commit.gpgsign").lower() in _TRUE
    return setting("user.signingkey") if wanted else ""


def signature_of(setting: Setting, data: bytes, namespace: str) -> bytes:
    """Return the signature of `data` by the configured key, nothing where there is none; UsageError."""
    key = key_of(setting)
    return sign(data, key, namespace, program=setting("gpg.ssh.program")) if key else b""


def signed(unsigned: Callable[[], bytes], setting: Setting, *, sha256: bool = False) -> bytes:
    """Return a commit object with a signature, nothing where no key is configured; `unsigned` reads the commit."""
    if not key_of(setting):
        return b""
    commit = unsigned()
    return with_signature(commit, signature_of(setting, commit, "git"), sha256=sha256)


def require(setting: Setting) -> None:
    """Raise UsageError where a key is configured and cannot sign: better now than after an hour of measuring."""
    signature_of(setting, b"", "publisher-probe")


def sign(data: bytes, key: str, namespace: str, *, program: str = "") -> bytes:
    """Return the armored signature of `data` by `key`; UsageError where the key is absent, locked or no key.

    `program` takes the place of ssh-keygen, as git's `gpg.ssh.program` does. Nothing asks for a passphrase: a locked
    key has to be in an agent.
    """
    with tempfile.TemporaryDirectory(prefix="publisher-sign-") as folder:
        place = Path(folder)
        literal = key.startswith(_LITERAL)
        file = place / "key.pub" if literal else Path(key).expanduser()
        if literal:
            file.write_text(key.removeprefix("key::") + "\n", encoding="utf-8")
        elif not file.is_file():
            raise UsageError(f"the signing key {key} is not there", hint=f"{_HINT} names another, empty signs nothing")
        signed = place / "data"
        signed.write_bytes(data)
        said = _run([program or PROGRAM, "-Y", "sign", "-n", namespace, "-f", str(file), str(signed)])
        try:
            return (place / "data.sig").read_bytes()
        except OSError as error:
            raise UsageError(
                f"cannot sign with the key {key}: it is locked, or no SSH key",
                hint=f"ssh-add KEY   where it has a passphrase; {_HINT} names another, empty signs nothing",
                detail=said.stderr.decode(errors="replace").strip(),
            ) from error


def check(data: bytes, signature: bytes, signers: Path, namespace: str, moment: int) -> State:
    """Return what a signature of `data` is worth by a list of allowed signers, as of a Unix time."""
    with tempfile.TemporaryDirectory(prefix="publisher-sign-") as folder:
        place = Path(folder) / "sig"
        place.write_bytes(signature)
        about = ["-n", namespace, "-s", str(place)]
        if _run([PROGRAM, "-Y", "check-novalidate", *about], data).returncode:
            return "bad"
        when = f"-Overify-time={_stamp(moment)}"
        listed = _run([PROGRAM, "-Y", "find-principals", "-f", str(signers), "-s", str(place), when])
        for name in listed.stdout.decode(errors="replace").splitlines() if not listed.returncode else ():
            # A key may be listed for other purposes only, so finding it is not enough.
            command = [PROGRAM, "-Y", "verify", "-f", str(signers), "-I", name, *about, when]
            if not _run(command, data).returncode:
                return "good"
        return "unknown"


def with_signature(commit: bytes, signature: bytes, *, sha256: bool = False) -> bytes:
    """Return a commit object with a signature among its headers, as git writes one."""
    headers, _, message = commit.partition(b"\n\n")
    name = b"gpgsig-sha256" if sha256 else b"gpgsig"
    return headers + b"\n" + name + b" " + signature.strip().replace(b"\n", b"\n ") + b"\n\n" + message


def _stamp(moment: int) -> str:
    """Return a time as ssh-keygen reads it: of this machine's time zone, which `_run` makes UTC."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y%m%d%H%M%S")


def _run(command: Sequence[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen, or what takes its place, without our secrets and without a question to anybody."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NETLIFY_", "PUBLISHER_"))}
    # With `force`, the program is asked instead of the terminal, and `false` answers nothing.
    quiet = {"SSH_ASKPASS": "false", "SSH_ASKPASS_REQUIRE": "force", "LC_ALL": "C", "TZ": "UTC"}
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, check=False, env={**kept, **quiet}, timeout=TIMEOUT
        )
    except FileNotFoundError as error:
        raise UsageError(f"{command[0]} is not installed, or not on PATH", hint="apt install openssh-client") from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"{command[0]} took more than {TIMEOUT:.0f} s", hint="is an agent waiting for a touch?"
        ) from error


_HINT = f"${VARIABLE}"
