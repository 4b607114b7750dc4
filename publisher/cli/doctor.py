"""`publisher doctor` says whether this machine is ready."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import msgspec

from publisher.cli.shared import open_project
from publisher.cli.terminal import echo, echo_json
from publisher.errors import ModelError, PublisherError, UsageError
from publisher.publishing import allowance


@click.command("doctor")
@click.option("--engine", is_flag=True, help="Only look at llama.cpp.")
@click.option("--model", type=click.Path(path_type=Path), default=None, help="The GGUF to try (default: the builtin).")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def command(ctx: click.Context, engine: bool, model: Path | None, as_json: bool) -> None:
    """Say what llama.cpp really does here: its build, its devices, the layers that are offloaded, and what is wrong."""
    from publisher.bench.inputs.model_file import builtin_path  # noqa: PLC0415 - --help must work without the extra
    from publisher.engine.doctor import confinement_lines, inspect_engine  # noqa: PLC0415 - as above

    if model is not None and not model.is_file():
        raise UsageError(f"there is no file {model}")
    report = inspect_engine(model or builtin_path("builtin:abacus"))
    if as_json:
        echo_json(msgspec.to_builtins(report))
    else:
        if not engine:
            echo(f"git: {shutil.which('git') or 'missing'}")
            for line in _left(ctx):
                echo(f"netlify: {line}")
        if report.library:
            build = report.library
            offload = "can" if build.offload_supported else "cannot"
            echo(f"llama.cpp {build.build} (llama-cpp-python {build.version}), {offload} offload to a GPU")
            for device in build.devices:
                echo(f"  device {device.name}: {device.description}, {device.memory / 2**30:.1f} GiB")
            echo(f"  {build.system_info}")
            for line in confinement_lines(build.confinement):
                echo(line)
        if report.loaded:
            repeats = "repeatable" if report.repeatable else "NOT repeatable"
            echo(
                f"model: {report.layers_offloaded} of {report.layers} layers offloaded, "
                f"backend {report.backend}, {report.decode_tokens_per_second:,.0f} tokens/s, {repeats}"
            )
    if not report.healthy:
        raise ModelError("; ".join(report.problems), hint="; ".join(report.hints))


def _left(ctx: click.Context) -> list[str]:
    """Return what is left of the site's budgets, or why that is not known here; nothing where there is no site."""
    try:
        project = open_project(ctx)
        config, _ = project.config(project.repository.resolve("HEAD"))
        if not config.netlify.site:
            return []
        project.ledger.sync()
        return allowance.left(project, config.netlify)
    except PublisherError as error:
        return [f"budgets are not known: {error.message}"]
