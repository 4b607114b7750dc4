"""Files from Hugging Face, fetched by its own client, within a time that depends on how much arrives."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from publisher.bench.inputs.progress import Progress, watched
from publisher.errors import NetworkError, PublisherError
from publisher.files import sha256_file, storage_error
from publisher.web.pace import Pace

if TYPE_CHECKING:
    from publisher.bench.inputs.kind import Kind

_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+)@([\w.-]+)/(.+)")


def from_hub(source: str, sha256: str, kind: Kind, target: Path, progress: Progress, pace: Pace | None = None) -> None:
    """Fetch `hf:OWNER/REPO@REVISION/FILE` into `target`; suites come from dataset repositories.

    Raises the kind's error, NetworkError (also where it comes more slowly than `pace`) or StorageError.
    """
    found = _HUB.fullmatch(source)
    if not found or ".." in PurePosixPath(found[3]).parts:
        raise kind.error(
            f"{kind.section}.source: {source!r} is not hf:OWNER/REPO@REVISION/FILE",
            hint="name the revision (a commit hash of the model's repository) and the file",
        )
    # Its name follows from the digest, so that the client continues a download that was interrupted.
    folder = target.parent / f".hub-{sha256}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = watched(folder, progress, pace or Pace(), lambda: _hub_file(*found.groups(), folder=folder, kind=kind))
        if sha256_file(path) != sha256:
            shutil.rmtree(folder, ignore_errors=True)
            # The digest that was found is not said: with somebody's token a commit could learn of private files.
            raise kind.error(
                f"{kind.section}: {source} has not the declared sha256 {sha256}",
                hint=f"check the revision, and the sha256 in [{kind.section}]",
            )
        os.replace(path, target)  # noqa: PTH105 - over an existing file too
        shutil.rmtree(folder, ignore_errors=True)
    except PublisherError:
        raise
    except OSError as error:
        if target.is_file() and sha256_file(target) == sha256:
            return  # another process was faster, and has removed the folder that both were using
        if error.errno is not None and error.filename is not None:
            raise storage_error(error, target) from error
        raise _hub_failed(source, error) from error
    except Exception as error:  # the client raises HTTP, validation and runtime errors of several libraries
        raise _hub_failed(source, error) from error


def _hub_file(repository: str, revision: str, name: str, *, folder: Path, kind: Kind) -> Path:
    """Return the file that Hugging Face's client has fetched into `folder`; it retries and resumes by itself."""
    from huggingface_hub import hf_hub_download, utils  # noqa: PLC0415 - heavy, and only needed here

    utils.disable_progress_bars()
    kinds = {"model": "model", "suite": "dataset"}
    return Path(hf_hub_download(repository, name, revision=revision, local_dir=folder, repo_type=kinds[kind.noun]))


def _hub_failed(source: str, error: Exception) -> NetworkError:
    said = str(error).strip().split("\n", 1)[0][:300]
    return NetworkError(
        f"cannot fetch {source}: {type(error).__name__}: {said}",
        hint="check owner, repository, revision and file; a private one needs HF_TOKEN",
    )
