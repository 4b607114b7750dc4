"""Check the action's inputs and print what its steps need, one `name=value` a line; anything odd ends the job.

Runs isolated, before anything is installed: standard library only.
"""

import hashlib
import os
import platform
import re
import sys
import tomllib
from pathlib import Path

VERDICTS = {"rejected", "inconclusive", "held", "unchanged"}


def main() -> None:
    """Print the outputs, or one message and exit with 2."""
    step, revision, artifact = (os.environ[name] for name in ("STEP", "REVISION", "ARTIFACT"))
    if step not in {"bench", "gate", "publish"}:
        sys.exit(wrong("step", "bench, gate or publish"))
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision):
        sys.exit(wrong("revision", "the full hash of a commit"))
    if not re.fullmatch(r"[^\s\x00-\x20-][^\s\x00-\x20]{0,199}", os.environ["POLICY_REF"]):
        # Without one every commit would bring its own rules.
        sys.exit(wrong("policy-ref", "the name of the trusted branch"))
    if not set(filter(None, re.split(r"[,\s]+", os.environ["FAIL_ON"]))) <= VERDICTS:
        sys.exit(wrong("fail-on", f"some of {', '.join(sorted(VERDICTS))}, separated by commas"))
    if not re.fullmatch(r"[0-9]{1,20}" if step != "bench" else r"[0-9]{0,20}", artifact):
        sys.exit(wrong("artifact-id", "the number that the bench step gave as its output artifact-id"))
    flags = os.environ["CMAKE_ARGS"].split()
    if os.environ["CUDA"] == "true":
        flags.append("-DGGML_CUDA=on")
    project = tomllib.loads((Path(os.environ["ACTION"]).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]["bench"]
    llama = next((name for name in extras if name.startswith("llama-cpp-python==")), "llama-cpp-python")
    version = "".join(platform.python_version_tuple()[:2])
    digest = hashlib.sha256(" ".join(flags).encode()).hexdigest()[:12]
    outputs = [
        f"revision={revision}",
        f"artifact-id={artifact}",
        # Whether there is anything to bench is told by the core alone.
        f"extra={'' if step == 'bench' else '[grade]'}",
        f"llama={llama}",
        f"cmake-args={' '.join(flags)}",
        f"key=publisher-{llama.rpartition('=')[2]}-{platform.system()}-{platform.machine()}-py{version}-{digest}",
    ]
    sys.stdout.write("\n".join([*outputs, ""]))


def wrong(name: str, what: str) -> str:
    """Return what to say of an input; never its value, which may come from anybody."""
    return f"::error title=snapshot-publisher::the input {name} must be {what}"


if __name__ == "__main__":
    main()
