"""The result in the words of other programs: a monitor, the schema that evaluation tools share, and a model's card.

Nothing in these files is typeset, so hostile names are only made visible and bounded, and quoted as each format quotes.
"""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from publisher.files import canonical_json
from publisher.render import attestation, instances, text
from publisher.schema import (
    HISTORY_SCHEMA,
    History,
    HistoryIndex,
    HistoryPart,
    Manifest,
    Outlines,
    SiteDeploy,
    SiteSnapshot,
    Struct,
    version,
)

if TYPE_CHECKING:
    from publisher.render.gather import Snapshot
    from publisher.schema import SuiteResult

_WORDS = re.compile(r"[^A-Za-z0-9._-]+")
HUB = "hf:"
"""What a suite's source begins with where it is a dataset on the Hub."""
_PUBLISHED: dict[str, type[Struct]] = {
    "snapshot.json": SiteSnapshot,
    "history.json": HistoryIndex,
    "lines.json": HistoryPart,
    "manifest.json": Manifest,
    "deploy.json": SiteDeploy,
}


def files(snapshot: Snapshot) -> dict[str, bytes]:
    """Return the files of this module by path."""
    found = {
        "metrics.txt": openmetrics(snapshot),
    } | every_eval_ever(snapshot)
    found |= attestation.statement(snapshot)
    found |= {f"schemas/{name}": schema_of(kind) for name, kind in published(snapshot).items()}
    return found | {
        f"eval_results/{result.suite}.yaml": hub_result(snapshot, result)
        for result in snapshot.record.results
        if _dataset(snapshot, result)
    }


def published(snapshot: Snapshot) -> dict[str, type[Struct]]:
    """Return the types of the site's own files by name.

    `lines.json` stands for each part of the history, and `runs.json` for the file that is in `compare/`.
    """
    whole = version(snapshot.history_files["history.json"], "history.json") == HISTORY_SCHEMA
    outlines: dict[str, type[Struct]] = (
        {"runs.json": Outlines} if snapshot.outlines and len(snapshot.outlines.runs) > 1 else {}
    )
    return _PUBLISHED | ({"history.json": History} if whole else {}) | outlines


def schema_of(kind: type[Struct]) -> bytes:
    """Return the JSON Schema of a type."""
    found = _dedented(msgspec.json.schema(kind))
    return canonical_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **found})


def _dedented(value: Any, key: str = "") -> Any:
    """Return a schema without the indentation of docstrings: Python takes it off from 3.13 on, and did not before."""
    if isinstance(value, dict):
        return {name: _dedented(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_dedented(one) for one in value]
    return inspect.cleandoc(value) if key == "description" else value


# -- a monitor --------------------------------------------------------------------------------------------------------


def openmetrics(snapshot: Snapshot) -> bytes:
    """Return `metrics.txt` in OpenMetrics' text form (openmetrics.io): gauges per suite, and when the run ended.

    A monitor that scrapes the live address gets the live snapshot's age as
    `time() - snapshot_finished_timestamp_seconds`.
    """
    record = snapshot.record
    finished = text.moment(record.finished)
    families: list[tuple[str, str, str, list[tuple[str, float]]]] = [
        ("snapshot_score", "", "Score of the suite, in points from 0 to 100.", []),
        ("snapshot_score_low", "", "Lower end of the score's 95 % interval, in points.", []),
        ("snapshot_score_high", "", "Upper end of the score's 95 % interval, in points.", []),
        ("snapshot_score_stderr", "", "Standard error of the score, in points.", []),
        ("snapshot_latency_p50_seconds", "seconds", "Median latency of an answer.", []),
        ("snapshot_latency_p99_seconds", "seconds", "99th percentile of the latency of an answer.", []),
        ("snapshot_tokens_per_second", "", "Tokens generated per second.", []),
        ("snapshot_tokens", "", "Tokens generated.", []),
    ]
    for result in record.results:
        values = (
            result.score,
            result.interval.low,
            result.interval.high,
            result.stderr,
            result.latency.p50,
            result.latency.p99,
            result.tokens_per_second,
            result.tokens,
        )
        for family, value in zip(families, values, strict=True):
            family[3].append((_labels(suite=result.suite), value))
    named = _labels(
        model=record.model.name, commit=record.commit.sha, run_id=record.run_id, tier=record.tier, verdict=snapshot.word
    )
    families.append(("snapshot_run", "", "The snapshot that this address shows.", [(named, 1)]))
    if finished is not None:
        when = ("snapshot_finished_timestamp_seconds", "seconds", "When the run ended.", [("", finished.timestamp())])
        families.append(when)
    lines = []
    for name, unit, said, samples in families:
        lines += [f"# TYPE {name} gauge", *([f"# UNIT {name} {unit}"] if unit else []), f"# HELP {name} {said}"]
        lines += [f"{name}{labels} {value!r}" for labels, value in samples]
    return ("\n".join([*lines, "# EOF"]) + "\n").encode()


def _labels(**values: str) -> str:
    """Return labels, each value in one line with what the form quotes."""
    quoted = {name: text.line(value, 200).replace("\\", "\\\\").replace('"', '\\"') for name, value in values.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in quoted.items()) + "}"


# -- the shared schema ------------------------------------------------------------------------------------------------


def every_eval_ever(snapshot: Snapshot) -> dict[str, bytes]:
    """Return `every_eval_ever.json`, the run in the schema of Every Eval Ever, and the file of its answers."""
    record = snapshot.record
    model, engine = record.model, record.engine
    finished = str(_seconds(record.finished))
    name = text.line(model.name, 120)
    evaluation_id = f"{snapshot.branch}/{name}/{finished}"
    told = instances.instances(snapshot, evaluation_id, name)
    # In the shared repository a file lies below its source, its developer and its model.
    place = "/".join(_WORDS.sub("-", part).strip("-.") or "unknown" for part in (snapshot.branch, "unknown", name))
    aggregate = canonical_json(
        {
            "schema_version": instances.SCHEMA,
            "evaluation_id": evaluation_id,
            "evaluation_timestamp": str(_seconds(record.started)),
            "retrieved_timestamp": finished,
            "source_metadata": {
                "source_name": snapshot.main,
                "source_type": "evaluation_run",
                "source_organization_name": snapshot.main.partition("://")[2],
                "source_organization_url": snapshot.main,
                "evaluator_relationship": "other",
                "additional_details": {
                    "permanent_address": snapshot.pin,
                    "commit": text.line(record.commit.sha),
                    "run_id": record.run_id,
                    "record_sha256": snapshot.record_sha256,
                    "verdict": snapshot.word,
                },
            },
            "eval_library": {"name": "snapshot-publisher", "version": text.line(record.machine.publisher, 40)},
            "model_info": {
                "name": name,
                "id": name,
                "inference_engine": {
                    "name": text.line(engine.name, 60),
                    "version": text.line(f"{engine.version} {engine.build}", 120),
                },
                "additional_details": {
                    "deployment_type": "self_deployed",
                    "model_availability": "unknown",
                    "source": text.line(model.source),
                    "sha256": model.sha256,
                    "quantization": text.line(model.quantization, 40),
                    "parameters": str(model.parameters),
                },
            },
            "evaluation_results": [_evaluation(snapshot, result) for result in record.results],
            **({"detailed_evaluation_results": told.reference(snapshot, place)} if told.rows else {}),
        }
    )
    return {"every_eval_ever.json": aggregate} | ({instances.FILE: told.data} if told.rows else {})


def _evaluation(snapshot: Snapshot, result: SuiteResult) -> dict[str, Any]:
    """Return a suite's result as the shared schema has it."""
    record = snapshot.record
    suite = snapshot.identity(result.suite)
    higher = result.direction == "higher"
    sampling = record.sampling
    return {
        "evaluation_result_id": f"{record.run_id}/{result.suite}",
        "evaluation_name": result.suite,
        "source_data": _source(snapshot, result),
        "evaluation_timestamp": str(_seconds(record.started)),
        "metric_config": {
            "evaluation_description": "Mean over problems of the share of right samples, in points.",
            "metric_id": "mean_accuracy",
            "metric_name": "score",
            "metric_kind": "accuracy",
            "metric_unit": "points",
            "metric_parameters": {"samples_per_problem": suite.samples},
            "lower_is_better": not higher,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 100.0,
            "additional_details": {"grader": text.line(f"{suite.grader} {suite.grader_version}", 80)},
        },
        "score_details": {
            "score": result.score,
            "details": {word: str(value) for word, value in msgspec.to_builtins(result.counts).items()},
            "uncertainty": {
                "standard_error": {"value": result.stderr, "method": "analytic, clustered by problem"},
                "confidence_interval": {
                    "lower": result.interval.low,
                    "upper": result.interval.high,
                    "confidence_level": 0.95,
                },
                "num_samples": result.counts.scored,
            },
        },
        "generation_config": {
            "generation_args": {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
                "max_tokens": sampling.max_tokens,
                "prompt_template": text.line(record.prompt.template, 2_000),
            },
            "additional_details": {"system_prompt": text.line(record.prompt.system, 2_000)},
        },
    }


def _source(snapshot: Snapshot, result: SuiteResult) -> dict[str, Any]:
    """Return where a suite's problems are from; nothing but the digest for a private one."""
    suite = snapshot.identity(result.suite)
    details = {"sha256": suite.sha256}
    if dataset := _dataset(snapshot, result):
        more = {"hf_repo": dataset, "samples_number": suite.problems}
        return {"dataset_name": result.suite, "source_type": "hf_dataset", **more, "additional_details": details}
    return {"dataset_name": result.suite, "source_type": "other", "additional_details": details}


def _dataset(snapshot: Snapshot, result: SuiteResult) -> str:
    """Return the dataset on the Hub that a public suite is from, `owner/name`; "" for none."""
    suite = snapshot.identity(result.suite)
    owner, slash, rest = suite.source.removeprefix(HUB).partition("/")
    name = rest.partition("/")[0].partition("@")[0]
    if not (suite.public and suite.source.startswith(HUB) and slash and owner and name):
        return ""
    return text.line(f"{owner}/{name}", 200)


# -- a model's card ---------------------------------------------------------------------------------------------------


def hub_result(snapshot: Snapshot, result: SuiteResult) -> bytes:
    """Return a file ready to copy into `.eval_results/` of the model's repository on the Hub.

    Its strings are written as JSON, which is YAML too.
    """
    suite = snapshot.identity(result.suite)
    notes = f"{suite.samples} per problem, ± {text.points(result.stderr)}, {snapshot.record.model.quantization}"
    rows = [
        "- dataset:",
        f"    id: {json.dumps(_dataset(snapshot, result))}",
        f"    task_id: {json.dumps(result.suite)}",
        f"  value: {round(result.score, 2)!r}",
        f"  date: {json.dumps(text.machine_time(snapshot.record.finished)[:10])}",
        "  source:",
        f"    url: {json.dumps(snapshot.pin + '/')}",
        f"    name: {json.dumps('Snapshot ' + snapshot.branch)}",
        f"  notes: {json.dumps(text.line(notes, 200))}",
    ]
    return ("\n".join(rows) + "\n").encode()


def _seconds(stamp: str) -> int:
    when = text.moment(stamp)
    return int(when.timestamp()) if when else 0
