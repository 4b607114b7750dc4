"""`publisher tekton`: the gate as a Tekton pipeline, and what its steps call."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from publisher import address as addresses
from publisher.cli.groups import Commands
from publisher.cli.init import hooks_folder
from publisher.cli.shared import open_project
from publisher.cli.tekton_service import service
from publisher.cli.tekton_steps import COMMANDS
from publisher.cli.terminal import echo, note
from publisher.errors import UsageError
from publisher.files import atomic_write
from publisher.git.values import is_branch_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from publisher.config import ModelConfig
    from publisher.engine.gguf import Header
    from publisher.git import Repository
    from publisher.publishing.project import Project

FOLDER = "hooks/tekton"
LARGEST = 1 << 20
_NOT_RE2 = re.compile(r"\(\?(<?[=!]|>|#|\(|P=)|\\[1-9Z]|[*+?}]\+")
"""What Python's regular expressions have and RE2's, which Tekton's filters are, have not."""
_CRON = re.compile(r"[0-9*/,-]+( [0-9A-Za-z*/,-]+){4}")


@click.group("tekton", cls=Commands)
def command() -> None:
    """Write the gate as a Tekton pipeline; the other commands are what its steps call."""


for _step in (*COMMANDS, service):
    command.add_command(_step)


@command.command("render")
@click.option("--into", type=click.Path(path_type=Path), default=None, help=f"The folder (default: {FOLDER}).")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a file is not what would be written.")
@click.option("--image", required=True, help="The image of every step, as NAME@sha256:DIGEST.")
@click.option("--gpu-image", default="", help="The image that the overlay gpu measures with (default: the same).")
@click.option("--address", default="", help="The repository's https address (default: that of the remote).")
@click.option("--branch", default="", help="The trusted branch (default: --policy-ref, or main).")
@click.option("--schedule", default="23 3 * * *", show_default=True, help="When it is measured unasked (cron, UTC).")
@click.option("--skip", default=None, metavar="REGEX", help="Paths whose changes alone start no pipeline (RE2).")
@click.option("--serve-to", multiple=True, metavar="NAMESPACE", help="May use a served model; may be repeated.")
@click.option("--serve-from", default="publisher-models", show_default=True, help="The namespace that serves it.")
@click.option("--model", type=click.Path(path_type=Path), help="The model's GGUF, where the commit does not have it.")
@click.pass_context
def render(
    ctx: click.Context,
    into: Path | None,
    check: bool,
    image: str,
    gpu_image: str,
    address: str,
    branch: str,
    schedule: str,
    skip: str | None,
    serve_to: tuple[str, ...],
    serve_from: str,
    model: Path | None,
) -> None:
    """Write a kustomize base with the overlays cpu, gpu and airgapped, from the publisher.toml of HEAD.

    The same publisher.toml and options give the same bytes. Files that are not ours stay as they are.
    """
    # They need the extra `tekton`, and --help does not.
    from publisher.tekton import rendering, resources  # noqa: PLC0415
    from publisher.tekton.settings import SKIPPED, Settings, namespaces, pinned  # noqa: PLC0415

    project = open_project(ctx)
    config, _ = project.config(project.repository.resolve("HEAD"))
    if not _CRON.fullmatch(schedule):
        raise UsageError(f"--schedule {schedule[:40]!r} is not five fields of cron", hint='--schedule "23 3 * * *"')
    trusted = branch or ctx.find_root().obj["policy_ref"] or "main"
    if not is_branch_name(trusted):
        raise UsageError(f"--branch {trusted[:80]!r} is not a branch's name", hint="--branch main")
    settings = Settings(
        config=config,
        needs=resources.needs(config, _header(project, config.model, model)),
        scripts=_scripts(),
        image=pinned(image, "--image"),
        gpu_image=pinned(gpu_image or image, "--gpu-image"),
        address=_address(project, address),
        branch=trusted,
        schedule=schedule,
        skipped=SKIPPED if skip is None else _pattern(skip),
        serve_to=namespaces(serve_to),
        serve_from=namespaces((serve_from,))[0],
    )
    folder = into if into is not None else project.repository.root / FOLDER
    different = _write(folder, rendering.files(settings), check=check)
    if check and different:
        note(f"publisher tekton render   writes what is different in {folder}")
        ctx.exit(1)


def _write(folder: Path, files: Mapping[str, bytes], *, check: bool) -> int:
    """Write the files that are not there as they should be, or only name them; return how many there are."""
    different = 0
    for name, wanted in files.items():
        path = folder / name
        if path.is_file() and path.stat().st_size <= LARGEST and path.read_bytes() == wanted:
            continue
        different += 1
        echo(f"{'differs' if check else 'written'}  {name}")
        if not check:
            atomic_write(path, wanted)
    return different


def _pattern(text: str) -> str:
    """Return a regular expression; UsageError where it is none, because an odd one would stop every event."""
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"--skip {text[:80]!r} is not a regular expression: {error}") from error
    if _NOT_RE2.search(re.sub(r"\\[^1-9Z]", "", text)):
        raise UsageError(f"--skip {text[:80]!r} looks around, looks back or does not backtrack, which RE2 cannot")
    return text


def _scripts() -> dict[str, str]:
    """Return the steps' scripts by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((hooks_folder() / "tekton").glob("*.sh"))}


def _address(project: Project, wanted: str) -> str:
    """Return the repository's address as pods reach it; UsageError where it is none that they may be sent to."""
    found = wanted or _remote_address(project.repository, project.ledger.remote)
    try:
        secure = addresses.split(found).scheme == "https"
    except ValueError:
        secure = False
    if not secure:
        raise UsageError(
            "the repository's address is not https://HOST/…, without a login in it", hint="--address https://HOST/…"
        )
    return found


def _remote_address(repository: Repository, remote: str | None) -> str:
    return repository.setting(f"remote.{remote}.url") if remote else ""


def _header(project: Project, section: ModelConfig, given: Path | None) -> Header:
    """Return the header of the model, whose size decides what is asked of a node; UsageError where it is not at hand.

    What would have to be fetched is not: a model can be many gigabytes.
    """
    from publisher.bench.inputs.kind import Inputs  # noqa: PLC0415 - as above
    from publisher.bench.inputs.model_file import resolve  # noqa: PLC0415 - as above
    from publisher.engine.gguf import read_header  # noqa: PLC0415 - as above

    kind = section.source.partition(":")[0] if re.match(r"[a-z0-9]+:", section.source) else ""
    if given is None and kind not in {"", "builtin", "local"}:
        raise UsageError(
            f"the model {section.name} is not here, and its size decides what is asked of a node",
            hint="--model FILE   names its GGUF",
        )
    if given is None:
        commit = project.repository.resolve("HEAD")
        given = resolve(section, Inputs.of(project.repository, commit, os.environ, note)).path
    try:
        with given.open("rb") as stream:
            return read_header(stream.fileno())
    except OSError as error:
        raise UsageError(f"--model {given}: {error.strerror}") from error
