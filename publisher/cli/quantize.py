"""`publisher quantize`: smaller versions of a model."""

from __future__ import annotations

from pathlib import Path

import click

from publisher.cli.terminal import echo
from publisher.engine.quantize import quantize
from publisher.errors import UsageError


@click.command("quantize")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--to", "kinds", required=True, metavar="KIND[,KIND]", help="Quantizations, such as Q4_K_M,Q8_0.")
@click.option("--into", type=click.Path(path_type=Path), default=None, help="The folder to write to.")
@click.option("--requantize", is_flag=True, help="Take a source that is quantized itself: its errors add up.")
def command(source: Path, kinds: str, into: Path | None, requantize: bool) -> None:
    """Write SOURCE in other quantizations through llama.cpp; each file's digest and origin stand beside it."""
    if not source.is_file():
        raise UsageError(f"there is no file {source}", hint="publisher quantize model-f16.gguf --to Q4_K_M,Q8_0")
    for kind in kinds.split(","):
        target = (into or source.parent) / f"{_stem(source)}-{kind.strip().lower()}.gguf"
        origin = quantize(source, target, kind.strip().upper(), allow_requantize=requantize)
        echo(f"{target}: {origin['size']:,} bytes, sha256 {origin['sha256']}")


def _stem(source: Path) -> str:
    """Return a model's name without the quantization that it ends with."""
    stem, _, last = source.stem.rpartition("-")
    return stem if stem and last.lower().startswith(("f16", "f32", "bf16", "q")) else source.stem
