"""`publisher tekton service`: what the Task that serves a model asks before anything is deployed."""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, note
from publisher.errors import ModelError, UsageError
from publisher.files import atomic_write, sha256_file, storage_error
from publisher.publishing.find import find_snapshot

if TYPE_CHECKING:
    from publisher.publishing.project import Project
    from publisher.schema import Record
    from publisher.tekton.serving import Bind


@click.command("service")
@click.argument("snapshot")
@click.option("--into", required=True, type=click.Path(path_type=Path), help="The folder for the plan.")
@click.option("--models", required=True, type=click.Path(path_type=Path), help="The folder that the model is put into.")
@click.option("--image", required=True, help="llama-server's image, as NAME@sha256:DIGEST.")
@click.option("--tools", required=True, help="The image that deploys it, as NAME@sha256:DIGEST.")
@click.option("--namespace", required=True, help="The service's own namespace.")
@click.option("--namespaces", required=True, help="Those that get the model, separated by spaces.")
@click.option("--allowed", required=True, help="Those that may.")
@click.option("--first", default=1, type=click.IntRange(1, 1000), help="How many get it first.")
@click.option("--bind", type=click.Choice(["external-name", "endpoint-slice", "reference-grant"]), required=True)
@click.option("--claim", required=True, help="The claim with the model.")
@click.option("--replicas", default=3, type=click.IntRange(1, 100), help="Replicas at most.")
@click.option("--monitoring", default="", help="The namespace that scrapes metrics.")
@click.option("--cores", required=True, type=click.IntRange(1, 1024), help="Cores per replica.")
@click.pass_context
def service(
    ctx: click.Context,
    snapshot: str,
    into: Path,
    models: Path,
    image: str,
    tools: str,
    namespace: str,
    namespaces: str,
    allowed: str,
    first: int,
    bind: str,
    claim: str,
    replicas: int,
    monitoring: str,
    cores: int,
) -> None:
    """Write the manifests that serve the model of SNAPSHOT, and their order; put the model, checked, into a folder.

    What a replica asks for follows from that model, and from the context and the slots that it was measured with.
    """
    from publisher.tekton import serving  # noqa: PLC0415 - it needs the extra `tekton`, and --help does not
    from publisher.tekton.settings import pinned  # noqa: PLC0415 - as above
    from publisher.tekton.text import document  # noqa: PLC0415 - as above

    pinned(tools, "tools-image")
    project = open_project(ctx)
    project.ledger.sync()
    run = find_snapshot(project, snapshot)
    record = project.record(run.run_id)
    wanted = serving.checked(
        serving.Service(
            sha256=record.model.sha256,
            snapshot=run.line.snapshot,
            image=image,
            namespace=namespace,
            claim=claim,
            namespaces=tuple(namespaces.split()),
            allowed=tuple(allowed.split()),
            bind=cast("Bind", bind),
            first=first,
            context=record.engine.context,
            slots=record.engine.slots,
            cores=cores,
            most=replicas,
            monitoring=monitoring,
        )
    )
    memory = _memory(_bring(project, record, models), record)
    wanted = dataclasses.replace(wanted, memory=memory)
    files, lines = serving.plan(wanted)
    for name, one in files.items():
        atomic_write(into / name, document([one]))
    atomic_write(into / "plan", "".join(f"{line}\n" for line in lines).encode())
    places = f"{len(wanted.namespaces)} namespaces, {memory >> 20} MiB per replica"
    echo(f"{run.line.snapshot}: {len(files)} objects for {places}")


def _memory(model: Path, record: Record) -> int:
    """Return the bytes that serving a model takes as it was measured; ModelError where it is no GGUF."""
    from publisher.engine.gguf import read_header  # noqa: PLC0415 - as above
    from publisher.tekton.resources import served  # noqa: PLC0415 - as above

    with model.open("rb") as stream:
        return served(read_header(stream.fileno()), context=record.engine.context, slots=record.engine.slots)


def _bring(project: Project, record: Record, folder: Path) -> Path:
    """Put the model of a record's commit into a folder, and return its path there, which its digest names.

    Raises ModelError where it is another file.
    """
    from publisher.bench.inputs.kind import Inputs  # noqa: PLC0415 - as above
    from publisher.bench.inputs.model_file import resolve  # noqa: PLC0415 - as above

    target = folder / f"{record.model.sha256}.gguf"
    if target.is_file() and sha256_file(target) == record.model.sha256:
        return target
    commit = record.commit.sha
    config, _ = project.config(commit)
    found = resolve(config.model, Inputs.of(project.repository, commit, os.environ, note))
    if sha256_file(found.path) != record.model.sha256:
        raise ModelError(
            f"the model of {commit[:12]} is not the one that was measured: its sha256 is {found.sha256}",
            detail=f"the record has {record.model.sha256}",
        )
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", hint="give the workspace models")
    # Process ids are alike in every pod, and pods share the claim.
    scratch = folder / f".{target.name}.{secrets.token_hex(8)}"
    try:
        shutil.copyfile(found.path, scratch)
        scratch.replace(target)
    except OSError as error:
        raise storage_error(error, target) from error
    finally:
        scratch.unlink(missing_ok=True)
    return target
