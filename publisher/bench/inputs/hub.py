"""Files from Hugging Face, through its own client: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and resuming are its."""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from publisher.bench.inputs.progress import Progress, watched
from publisher.errors import NetworkError, PublisherError
from publisher.files import sha256_hex, storage_error
from publisher.web.pace import Pace

if TYPE_CHECKING:
    from publisher.bench.inputs.kind import Inputs, Kind

_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+)@([\w.-]+)/(.+)")
_KINDS = {"model": "model", "suite": "dataset"}


def fetched(source: str, kind: Kind, inputs: Inputs) -> Path:
    """Return the file of `hf:OWNER/REPO@REVISION/FILE`, alone in a folder of the cache that the caller removes.

    Suites come from dataset repositories. Raises the kind's error for another form, StorageError, or NetworkError,
    also where it comes too slowly.
    """
    found = _HUB.fullmatch(source)
    if not found or ".." in PurePosixPath(found[3]).parts:
        raise kind.error(
            f"{kind.section}.source: {source!r} is not hf:OWNER/REPO@REVISION/FILE",
            hint="name the revision (a commit hash of the model's repository) and the file",
        )
    # Its name follows from the source, so that the client continues a download that was interrupted.
    folder = inputs.cache / kind.folder / f".hub-{sha256_hex(source.encode())}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        progress = Progress(f"fetching {source.rpartition('/')[2][:80]}", inputs.note)
        return watched(folder, progress, Pace(), lambda: _file(*found.groups(), folder=folder, kind=kind))
    except PublisherError:
        raise
    except OSError as error:
        if error.errno is not None and error.filename is not None:
            raise storage_error(error, folder) from error
        raise _failed(source, error) from error
    except Exception as error:  # the client raises HTTP, validation and runtime errors of several libraries
        raise _failed(source, error) from error


def forget(source: str, kind: Kind, inputs: Inputs) -> None:
    """Remove the folder that a source was fetched into."""
    shutil.rmtree(inputs.cache / kind.folder / f".hub-{sha256_hex(source.encode())}", ignore_errors=True)


def _file(repository: str, revision: str, name: str, *, folder: Path, kind: Kind) -> Path:
    """Return the file that Hugging Face's client has fetched into `folder`; it retries and resumes by itself."""
    try:
        from huggingface_hub import hf_hub_download, utils  # noqa: PLC0415 - heavy, and only needed here
    except ImportError as error:
        raise kind.error("huggingface_hub is not installed", hint="pip install 'snapshot-publisher[suites]'") from error
    utils.disable_progress_bars()
    utils.logging.set_verbosity_error()  # it tells of every retry, in words for its developers
    return Path(hf_hub_download(repository, name, revision=revision, local_dir=folder, repo_type=_KINDS[kind.noun]))


def _is_offline() -> bool:
    """Return whether the environment forbids the client to ask any server."""
    from huggingface_hub import constants  # noqa: PLC0415 - as above

    return bool(constants.HF_HUB_OFFLINE)


def _failed(source: str, error: Exception) -> NetworkError:
    said = str(error).strip().split("\n", 1)[0][:300]
    hint = "check owner, repository, revision and file; a private one needs HF_TOKEN"
    if _is_offline():
        hint = (
            "unset HF_HUB_OFFLINE, or fetch the file on a machine with a network and share its cache (PUBLISHER_CACHE)"
        )
    return NetworkError(f"cannot fetch {source}: {type(error).__name__}: {said}", hint=hint)
