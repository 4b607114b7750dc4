"""Calls of the build hook as the ledger keeps them: what was intended, before each call, and what became of it.

The calls for one deploy are numbered in one folder of the ledger:

    the deploy of a snapshot   runs/<run_id>/request-N.json, answer-N.json
    a build of `live`          calls/live/<number of the move>-<commit>/request-N.json, answer-N.json
    a live deploy that splits  calls/live/canary-<number>-<part>/request-N.json, answer-N.json
    a pin                      calls/pins/<name>-<number of the pin>/request-N.json, answer-N.json
    a gray release             calls/canary/<number>-<part>/request-N.json, answer-N.json

A request is a turn: only one publisher can write number N, and only who wrote it makes that call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from publisher import schema
from publisher.errors import StorageError
from publisher.files import canonical_json
from publisher.schema import BuildAnswer, BuildRequest

if TYPE_CHECKING:
    from publisher.ledger.store import Ledger

LARGEST = 64 << 10
"""Bytes of a request or an answer; a larger file is not one of ours."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the build hook: its intent, and what is known to have become of it."""

    request: BuildRequest
    answer: BuildAnswer | None = None


def live_folder(number: int, commit: str) -> str:
    """Return the folder of the calls that build the `number`-th move of the live site, to a snapshot commit."""
    return f"calls/live/{number:06d}-{commit[:12]}"


def pin_folder(name: str, number: int) -> str:
    """Return the folder of the calls that build the `number`-th pin of a name."""
    return f"calls/pins/{name}-{number}"


def canary_folder(number: int, part: str) -> str:
    """Return the folder of the calls that build a part of the `number`-th gray release."""
    return f"calls/canary/{number:06d}-{part}"


def split_folder(number: int, part: str) -> str:
    """Return the folder of the calls that build `live` for the `number`-th gray release: a stage, or `end`.

    It is one of `live`'s, since these are production deploys.
    """
    return f"calls/live/canary-{number:06d}-{part}"


def read_calls(ledger: Ledger, folder: str) -> list[Call]:
    """Return the calls in a folder of the ledger, in order; a file that cannot be read is left out."""
    blobs = {path.removeprefix(f"{folder}/"): blob for path, blob in ledger.paths(below=f"{folder}/").items()}
    wanted = [name for name in blobs if name.startswith(("request-", "answer-"))]
    contents = ledger.repository.read_small([blobs[name] for name in wanted], LARGEST)
    requests: dict[int, BuildRequest] = {}
    answers: dict[int, BuildAnswer] = {}
    for name, data in zip(wanted, contents, strict=True):
        if data is None:
            continue
        try:
            if name.startswith("request-"):
                request = schema.decode(data, BuildRequest, name)
                requests[request.attempt] = request
            else:
                answer = schema.decode(data, BuildAnswer, name)
                answers[answer.attempt] = answer
        except StorageError:
            # A spoiled file is no call that could be waited for; its number stays taken all the same.
            continue
    return [Call(requests[number], answers.get(number)) for number in sorted(requests)]


def next_number(ledger: Ledger, folder: str) -> int:
    """Return the number that the next request in a folder takes: one more than the highest that is there."""
    names = [path.removeprefix(f"{folder}/") for path in ledger.paths(below=f"{folder}/")]
    numbers = [name.removeprefix("request-").removesuffix(".json") for name in names if name.startswith("request-")]
    return 1 + max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=0)


def request_file(folder: str, request: BuildRequest) -> dict[str, bytes]:
    """Return the ledger file that says that the build hook is about to be called."""
    return {f"{folder}/request-{request.attempt}.json": canonical_json(request)}


def answer_file(folder: str, answer: BuildAnswer) -> dict[str, bytes]:
    """Return the ledger file that says what became of a call."""
    return {f"{folder}/answer-{answer.attempt}.json": canonical_json(answer)}


def other_times(ledger: Ledger, *, below: str = "calls/", besides: str = "") -> list[str]:
    """Return the times of the requests for `live` and for pins; those for snapshots come with their runs.

    Only those in folders `below` count, without the folder `besides` and without calls that were not made.
    """
    blobs = ledger.paths(below=below)
    paths = [path for path in blobs if not (besides and path.startswith(f"{besides}/"))]
    contents = ledger.repository.read_small([blobs[path] for path in paths], LARGEST)
    times: dict[str, str] = {}
    undone: set[str] = set()
    for path, data in zip(paths, contents, strict=True):
        place, _, name = path.rpartition("/")
        kind, _, number = name.partition("-")
        try:
            if kind == "request":
                times[f"{place}/{number}"] = schema.decode(data or b"", BuildRequest, path).time
            elif schema.decode(data or b"", BuildAnswer, path).outcome == "not made":
                undone.add(f"{place}/{number}")
        except StorageError:
            continue
    return [moment for place, moment in times.items() if place not in undone]
