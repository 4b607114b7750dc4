"""Stand-ins for kubectl, cosign and curl: they write down each call, and kubectl keeps objects in a folder."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KUBECTL = """#!{python}
import os, pathlib, shutil, sys, yaml
home = pathlib.Path(os.environ["CLUSTER"])
words = sys.argv[1:]
with (home / "calls").open("a") as calls:
    print("kubectl", *words, file=calls)
if any(line and line in " ".join(words) for line in (home / "fail").read_text().splitlines()):
    print('Error from server (Forbidden): "no"', file=sys.stderr)
    sys.exit(1)
namespace = words[1] if words[0] == "-n" else ""
words = words[2:] if namespace else words
if words[0] == "api-resources":
    print((home / "apis").read_text())
elif words[:2] == ["get", "pods"]:
    print("10.1.2.3 10.1.2.4")
elif words[0] == "rollout":
    print("successfully rolled out")
elif words[0] == "apply" and words[1] == "-f":
    one = yaml.safe_load(pathlib.Path(words[2]).read_text())
    assert one["metadata"]["namespace"] == namespace
    place = home / "objects" / namespace / one["kind"].lower()
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(words[2], place)
    print(one["kind"].lower(), "applied")
else:
    kind = [word for word in words[1:] if not word.startswith("-")][words[1] == "view-last-applied"]
    place = home / "objects" / namespace / kind.partition("/")[0].partition(".")[0]
    if words[0] == "delete":
        place.unlink(missing_ok=True)
        print("deleted")
    elif place.is_file() and words[1] == "view-last-applied":
        print(place.read_text(), end="")
    elif place.is_file() and words[-1] == "name":
        if "-l" not in words or words[words.index("-l") + 1].replace("=", ": ") in place.read_text():
            print(kind)
    elif place.is_file():
        labels = yaml.safe_load(place.read_text())["metadata"].get("labels", {{}})
        part = labels.get("app.kubernetes.io/part-of", "")
        print(("publisher-model=" if ".name}}=" in words[-1] else "") + part)
"""
OTHER = """#!/bin/sh
echo "{name} $*" >>"$CLUSTER/calls"
! grep -qF -e "$(basename "$0")" "$CLUSTER/fail" || {{ echo 'error: "no"' >&2; exit 22; }}
case "$*" in *"$(cat "$CLUSTER/unreachable")"*) echo unreachable >&2; exit 22 ;; esac
"""


def cluster(folder: Path) -> dict[str, str]:
    """Make a cluster without objects in `folder`, and return the environment in which the programs reach it."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    texts = {name: OTHER.format(name=name) for name in ("cosign", "curl")}
    for name, text in {**texts, "kubectl": KUBECTL.format(python=sys.executable)}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(stat.S_IRWXU)
    for name, text in {"calls": "", "fail": "", "unreachable": "no such address", "apis": "referencegrants"}.items():
        (folder / name).write_text(text)
    return {"CLUSTER": str(folder), "PATH": str(programs)}


def held(folder: Path) -> dict[str, str]:
    """Return every object of the cluster, `NAMESPACE/KIND`, with its text."""
    root = folder / "objects"
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}
