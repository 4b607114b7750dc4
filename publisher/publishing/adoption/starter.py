"""The files that an adopter's repository gets, as texts: configuration, build, workflows. Nothing is written here."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.bench.inputs import problems
from publisher.config import FILE, json_schema, parse
from publisher.config.section import suggest
from publisher.engine.gguf import read_header
from publisher.errors import ModelError, UsageError
from publisher.files import sha256_file
from publisher.git import pointer_of
from publisher.git.elsewhere import MOST
from publisher.graders import mistake_in
from publisher.publishing.adoption import adopt
from publisher.registry import elsewhere, suite_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WORKFLOWS = ("publish.yml", "pull-request.yml", "verify.yml", "rollback.yml", "doctor.yml", "nightly.yml", "canary.yml")
MAXIMUM = 100 << 20
"""Bytes of a file that a forge takes without Git LFS."""
IGNORE = ".gitignore"
IGNORED = "# What a local build of the site leaves behind.\ndist/\n"
GRADER = "math"
"""What scores a suite of one's own until its section names another grader."""
CONTEXT = 4096
"""Tokens of prompt and answer that a starter asks for, where the model was trained with that many."""


@dataclass(frozen=True, slots=True)
class Model:
    """The model that a starter names."""

    name: str
    source: str
    sha256: str = ""
    path: Path | None = None
    """Where a file outside the repository lies."""
    context: int = CONTEXT
    """Tokens of prompt and answer."""


def find_model(root: Path, wanted: str, sha256: str = "", here: Path = Path()) -> Model | None:
    """Return the model that `wanted` names, or the only GGUF file of the repository; None for the builtin one.

    A path counts from the folder `here` or from the repository's root. Raises UsageError where the file is not there,
    where there are several, where a source from elsewhere lacks its digest, or where the file is no GGUF.
    """
    if not wanted:
        found = [path for path in sorted(root.rglob("*.gguf")) if ".git" not in path.parts and path.is_file()][:20]
        if len(found) > 1:
            names = ", ".join(str(path.relative_to(root)) for path in found)
            raise UsageError(
                f"several models are here: {names}", hint=f"--model {shlex.quote(str(found[0].relative_to(root)))}"
            )
        return _of_file(root, found[0]) if found else None
    if re.match(r"(hf|https|http|git|s3|builtin|local):", wanted):
        if elsewhere(wanted) and not re.fullmatch("[0-9a-f]{64}", sha256):
            raise UsageError(
                f"--model {wanted}: what is fetched from elsewhere is named by its sha256 as well",
                hint="--sha256 DIGEST   from `sha256sum FILE`; Hugging Face shows it on the file's page",
            )
        stem = re.split(r"[/:]", wanted.removesuffix(".gguf"))[-1]
        return Model(_name(stem), wanted, sha256)
    path = _located(root, here, wanted)
    if path is None:
        raise UsageError(f"--model {wanted}: there is no such file", hint="find . -name '*.gguf'")
    return _of_file(root, path)


def find_suite(root: Path, wanted: str, here: Path = Path()) -> str:
    """Return how publisher.toml names a suite: by its path in the repository, or as a benchmark; empty for neither.

    Raises UsageError where it is neither, or where the file is not in the repository; SuiteError for its mistakes.
    """
    if not wanted or wanted in suite_names():
        return wanted
    path = _located(root, here, wanted)
    if path is None:
        raise UsageError(
            f"--suite {wanted}: there is no such file, and no benchmark of that name{suggest(wanted, suite_names())}",
            hint=f'a file has a line per problem, {{"id": …, "problem": …, "answer": …}}; benchmarks: '
            f"{', '.join(suite_names())}",
        )
    if not path.is_relative_to(root):
        raise UsageError(
            f"--suite {wanted}: it is outside the repository, and a suite is a part of the commit that it measures",
            hint=f"cp {shlex.quote(str(path))} {shlex.quote(str(root))}   and name the copy",
        )
    if path.suffix != ".jsonl":
        raise UsageError(f"--suite {wanted}: a suite's file is named NAME.jsonl", hint="see docs/graders.md")
    with path.open("rb") as stream:
        problems.parse(stream, f"--suite {wanted}", GRADER, public=True)
    return str(path.relative_to(root))


def _located(root: Path, here: Path, wanted: str) -> Path | None:
    """Return the file that a path names as seen from the user's folder, or from the repository's root."""
    there = ((folder / wanted).resolve() for folder in (here, root))
    return next((path for path in there if path.is_file()), None)


def _of_file(root: Path, path: Path) -> Model:
    """Return a file as a source: by its path inside the repository, by name and digest outside it."""
    context = _context(path)
    if path.is_relative_to(root):
        return Model(_name(path.stem), str(path.relative_to(root)), context=context)
    return Model(_name(path.stem), f"local:{path.name}", sha256_file(path), path, context)


def _context(path: Path) -> int:
    """Return the tokens to ask a model for; UsageError where the file is no GGUF."""
    with path.open("rb") as stream:
        if pointer_of(stream.read(MOST)):
            return CONTEXT  # what Git LFS has not fetched yet
        try:
            return min(CONTEXT, read_header(stream.fileno()).context_trained) or CONTEXT
        except ModelError as error:
            raise UsageError(f"--model {path}: {error.message}", hint=error.hint) from error


def _name(stem: str) -> str:
    return stem[:100] or "model"


def configuration(text: str, *, site: str, model: Model | None, suite: str) -> str:
    """Return the starter's publisher.toml for a site, a model and a suite; UsageError where it would not be valid."""
    text = text.replace('site = "SITE"', f"site = {json.dumps(site)}")
    if model is not None:
        digest = f'\nsha256 = "{model.sha256}"' if model.sha256 else ""
        text = text.replace('name   = "abacus"', f"name   = {json.dumps(model.name)}")
        text = re.sub(
            r'source = "builtin:abacus".*', lambda _: f"source = {json.dumps(model.source)}{digest}", text, count=1
        )
        text = text.replace("context = 1024", f"context = {model.context}")
        text = text.replace("max_tokens  = 200", f"max_tokens  = {model.context // 2}")
        text = re.sub(r"min = 50\.0 \},.*", "min = 1.0 },                   # raise it once you know the score", text)
    if suite:
        text = _with_suite(text, suite)
    parse(text.encode(), FILE, graders=mistake_in)
    return text


def _with_suite(text: str, suite: str) -> str:
    """Return the configuration with a suite of the repository, or with a benchmark by its name."""
    own = suite.endswith(".jsonl")
    name = re.sub("[^a-z0-9._-]+", "-", suite.rpartition("/")[2].removesuffix(".jsonl").lower()).strip("-._") or "suite"
    section = (
        f'source = {json.dumps(suite)}\ngrader = "{GRADER}"\npublic = true' if own else f"use = {json.dumps(suite)}"
    )
    text = re.sub(r"\[suites\.abacus\]\n.*?\n\n", lambda _: f"[suites.{name}]\n{section}\n\n", text, flags=re.DOTALL)
    return text.replace('["abacus"]', f"[{json.dumps(name)}]").replace(
        'headline = "abacus"', f"headline = {json.dumps(name)}"
    )


def files(source: Path, found: adopt.Installation, config: str) -> dict[str, str]:
    """Return {path: text} of everything but the wheel; workflows only where the action's address is known."""
    made = {FILE: config, "hooks/netlify-build": _read(source / "netlify-build")}
    made["netlify.toml"] = (
        _read(source / "starter" / "netlify.toml")
        + f"\n[build.environment]\nPUBLISHER_REQUIREMENT = {json.dumps(found.requirement)}\n"
    )
    made[json_schema.NAME] = json.dumps(json_schema.json_schema(), indent=2) + "\n"
    made[IGNORE] = IGNORED
    core = f"${{{{ github.workspace }}}}/{found.requirement[2:]}" if found.wheel else found.requirement
    bench = f"{core}[bench]" if found.wheel else re.sub(f"^{adopt.NAME}", f"{adopt.NAME}[bench]", core)
    quick = "quick" if "[tiers.quick]" in config else ""
    for name in WORKFLOWS if found.action else ():
        text = _read(source / "starter" / name).replace("ACTION@COMMIT", found.action)
        for placeholder, value in {'"CORE"': core, '"BENCH"': bench, '"TIER"': quick}.items():
            text = text.replace(placeholder, json.dumps(value))
        made[f".github/workflows/{name}"] = text
    return made


def ignoring(there: str) -> str:
    """Return a .gitignore that names what a build leaves, whatever else it names already."""
    if {"dist", "dist/", "/dist", "/dist/"} & {line.strip() for line in there.splitlines()}:
        return there
    return f"{there.rstrip()}\n\n{IGNORED}"


def difference(path: str, there: str, wanted: str) -> str:
    """Return how a file differs from what would be written."""
    lines = difflib.unified_diff(there.splitlines(), wanted.splitlines(), path, f"{path} (publisher init)", lineterm="")
    return "\n".join(lines)


NETLIFY = """\
netlify sites:create --name SITE   # or by hand; then, under Site configuration, Build & deploy:
    connect this repository; production branch: live; branch deploys: all; deploy previews: none
netlify api createSiteBuildHook --data \\
    '{"site_id": "SITE.netlify.app", "body": {"title": "publisher", "branch": "live"}}'
export NETLIFY_BUILD_HOOK=…   # the address that it answers with; with NETLIFY_AUTH_TOKEN live moves without a build
publisher publish"""
GITHUB = """\
gh api -X PUT 'repos/{owner}/{repo}/environments/netlify' --input - <<< '{"deployment_branch_policy":
    {"protected_branches": true, "custom_branch_policies": false}}'   # secrets for protected branches only
gh secret set NETLIFY_BUILD_HOOK --env netlify
gh secret set NETLIFY_AUTH_TOKEN --env netlify
gh variable set BENCH_RUNNER --body self-hosted   # only for a GPU runner, in a group that publish.yml alone may use"""


def next_steps(root: Path, site: str, own: Sequence[str], made: Mapping[str, str], *, committed: bool) -> list[str]:
    """Return what is left to do, each step with its command; `own` are the user's files that were named."""
    large = [name for name in own if (root / name).stat().st_size > MAXIMUM]
    steps = [f"git lfs track {shlex.quote(name)}   # larger than a forge takes otherwise" for name in large]
    if not committed:
        names = " ".join(shlex.quote(name) for name in [*sorted(made), *own])
        steps.append(f"git add {names}")
        steps.append("git commit -m 'Publish benchmarks'")
    steps += ["publisher serve   # a Netlify-compatible host on this machine, in another terminal; then:"]
    steps += ["publisher --local publish", "", "on Netlify instead:", *NETLIFY.replace("SITE", site).splitlines()]
    if any(name.startswith(".github/") for name in made):
        steps += ["", "on GitHub, for each commit:", *GITHUB.splitlines()]
    return [*steps, "", "publisher doctor   # checks all of it"]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
