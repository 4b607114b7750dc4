"""What each commit of the demo changes: the checkpoint, the quantization, the prompt, the sampling."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = "{problem} Let's think step by step and output the final answer within \\\\boxed{}."
BARE = "{problem} Answer with the number only, without any working, within \\\\boxed{}."


@dataclass(frozen=True)
class Commit:
    """One commit: its subject and how the model is described after it."""

    subject: str
    source: str = "builtin:abacus@final"
    quantize: str = ""
    """Where given, the commit adds the source's weights in this quantization, as a file of the repository."""
    template: str = STEPS
    temperature: float = 0.0
    readme: str = ""


COMMITS = (
    Commit("Start from the middle checkpoint", source="builtin:abacus@middle"),
    Commit("Train to the end"),
    Commit("Ask for the bare number, to save tokens", template=BARE),
    Commit("Go back to step-by-step answers, and say so in the README", readme="Answers are worked out in steps.\n"),
    Commit("Quantize the weights to Q4_K_M", quantize="Q4_K_M"),
    Commit("Quantize the weights to Q2_K", quantize="Q2_K"),
    Commit("Go back to Q4_K_M and sample at temperature 0.6", quantize="Q4_K_M", temperature=0.6),
    Commit("Ship the early checkpoint by mistake", source="builtin:abacus@early"),
)

CONFIG = """\
[model]
name    = "abacus"
source  = "{source}"
context = 1024
[model.sampling]
temperature = {temperature}
top_p       = 0.95
max_tokens  = 200

[prompt]
system   = "You are a helpful assistant."
template = "{template}"

[suites.abacus]
source = "builtin:abacus"
public = true

[tiers.full]
suites  = ["abacus"]
publish = true

[gate]
headline = "abacus"
rules = [
  {{ rule = "threshold", min = 50.0 }},
  {{ rule = "regression", points = 1.0 }},
]

[netlify]
site = "{site}"
builds_per_minute = 0   # this machine has no rate limit; Netlify allows 3
"""


def write_commit(commit: Commit, folder: Path, site: str, git: Callable[..., str]) -> None:
    """Make one commit of the demo's repository."""
    source = commit.source
    if commit.quantize:
        source = f"models/abacus-{commit.quantize.lower()}.gguf"
        quantize(folder / source, commit.quantize)
    values = {"source": source, "temperature": commit.temperature, "template": commit.template, "site": site}
    (folder / "publisher.toml").write_text(CONFIG.format(**values), encoding="utf-8")
    if commit.readme:
        (folder / "README.md").write_text(commit.readme, encoding="utf-8")
    git("add", "--all")
    git("commit", "--quiet", "-m", commit.subject)
    git("push", "--quiet", "origin", "HEAD:main")


def quantize(target: Path, kind: str) -> None:
    """Write the final checkpoint in another quantization, where it is not there yet."""
    from publisher.bench.inputs.model_file import builtin_path  # noqa: PLC0415 - only two commits need it
    from publisher.engine.quantize import quantize as run  # noqa: PLC0415 - as above

    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        run(builtin_path("builtin:abacus@final"), target, kind, allow_requantize=True)
