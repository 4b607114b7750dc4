"""Stand-ins for kubectl, cosign and curl: they write down each call, and kubectl keeps objects in a folder."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KUBECTL = r"""#!{python} -IS
# Called hundreds of times: without `site`, and with nothing that takes long to import.
import os, re, sys
def read(*names):
    with open(os.path.join(os.environ["CLUSTER"], *names)) as stream:
        return stream.read()
words = sys.argv[1:]
assert words.pop(0).startswith("--request-timeout="), words
with open(os.path.join(os.environ["CLUSTER"], "calls"), "a") as calls:
    print("kubectl", *words, file=calls)
if any(line and line in " ".join(words) for line in read("fail").splitlines()):
    print('Error from server (Forbidden): "no"', file=sys.stderr)
    sys.exit(1)
namespace = words[1] if words[0] == "-n" else ""
words = words[2:] if namespace else words
if words[0] == "api-resources":
    print(read("apis"))
elif words[:2] == ["get", "pods"]:
    print("10.1.2.3 10.1.2.4")
elif words[0] == "rollout":
    print("successfully rolled out")
elif words[0] == "apply" and words[1] == "-f":
    one = read(words[2])
    assert re.search(r"(?m)^  namespace: (.+)$", one)[1] == namespace
    kind = re.search(r"(?m)^kind: (.+)$", one)[1].lower()
    place = os.path.join(os.environ["CLUSTER"], "objects", namespace)
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, kind), "w") as stream:
        stream.write(one)
    print(kind, "applied")
else:
    kind = [word for word in words[1:] if not word.startswith("-")][words[1] == "view-last-applied"]
    place = "objects", namespace, kind.partition("/")[0].partition(".")[0]
    try:
        one = read(*place)
    except FileNotFoundError:
        one = ""
    part = re.search(r"(?m)^    app.kubernetes.io/part-of: (.+)$", one)
    part = part[1] if part else ""
    if words[0] == "delete":
        if one:
            os.unlink(os.path.join(os.environ["CLUSTER"], *place))
        print("deleted")
    elif one and words[1] == "view-last-applied":
        print(one, end="")
    elif one and words[-1] == "name":
        if "-l" not in words or words[words.index("-l") + 1] == "app.kubernetes.io/part-of=" + part:
            print(kind)
    elif one:
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
