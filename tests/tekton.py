"""Tekton as far as our manifests need it: Tasks and the Pipeline, each step's own script run for real, in order.

Workspaces and volumes are folders, results are files. Tasks without the site's secrets run as another user where the
tests may change it. A secret's folder belongs to the user of the one step that mounts it, and is gone afterwards.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
VALIDATE = ROOT.parent / "shared" / "tools" / "tekton-validate"
"""Tekton's own admission code, where it lies beside the checkout."""
IMAGE = f"registry.example/publisher@sha256:{'a' * 64}"
GPU_IMAGE = f"registry.example/publisher-cuda@sha256:{'b' * 64}"
NOBODY = 65534
_AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
_OPENED = """
mount --bind "$0" /mnt && mount -t tmpfs -o mode=755 tmpfs "$1" && mkdir -p "$0" && mount --bind /mnt "$0" || exit 99
shift
exec "$@"
"""
"""Shows a Python that lies in a closed folder, such as root's home, and nothing else of it, in a mount namespace."""
_REFERENCE = re.compile(r"\$\(([^()]+)\)")
_GIVEN = re.compile(r"\$\((params|workspaces|results|context|steps?|tasks|finally|credentials)[.\[]")
"""What Tekton would put into a script; a command in `$(…)` is none of it."""
Object = dict[str, Any]


def objects(folder: Path) -> dict[tuple[str, str], Object]:
    """Return every manifest below a folder by kind and name."""
    found = {}
    for path in sorted(folder.rglob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            found[one["kind"], one.get("metadata", {}).get("name", path.parent.name)] = one
    return found


def replaced(text: str, values: Mapping[str, str]) -> str:
    """Return a text with Tekton's references replaced once: what a value holds is not looked at again."""
    return _REFERENCE.sub(lambda match: values.get(match[1], match[0]), text)


def listed(text: str, values: Mapping[str, Any]) -> list[str]:
    """Return the texts that one stands for: the elements of an array, where it is a reference to one."""
    match = _REFERENCE.fullmatch(text)
    whole = values.get(match[1].removesuffix("[*]")) if match else None
    return whole if isinstance(whole, list) else [replaced(text, values)]


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """Return a variable's value as the kubelet makes it, which replaces `$(NAME)` of variables that came before."""
    return re.sub(r"\$\$|\$\(([A-Za-z_.-]+)\)", lambda m: environment.get(m[1], m[0]) if m[1] else "$", text)


@functools.cache
def as_nobody() -> tuple[str, ...]:
    """Return what runs a command as another user, one that can run Python; nothing where that cannot be done here."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return ()
    python = Path(sys.base_prefix)
    closed = [folder for folder in reversed(python.parents) if not folder.stat().st_mode & 0o001]
    opened = ("unshare", "-m", "sh", "-c", _OPENED, str(python), str(closed[0])) if closed else ()
    prefix = (*opened, *_AS_NOBODY)
    # A second program: the first one still has root's rights while it is started.
    command = [*prefix, "sh", "-c", f"{sys.executable} -c 'import publisher'"]
    return prefix if subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0 else ()


@dataclass
class Done:
    """What became of one TaskRun."""

    code: int
    results: dict[str, str]
    logs: str


@dataclass
class Cluster:
    """A namespace: its manifests, secrets and the folders that stand for volumes."""

    manifests: Mapping[tuple[str, str], Object]
    folder: Path
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    """By the Secret's name: key and value."""
    environment: dict[str, str] = field(default_factory=dict)
    """What the image brings along."""
    watch: Callable[[str, subprocess.Popen[str]], None] | None = None
    """Is told of each step's process when it has started."""
    users: dict[str, int] = field(default_factory=dict)
    """By step: the user that it ran as."""
    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    """By step: its environment."""
    count: int = 0

    def run(self, name: str, params: Mapping[str, Any], workspaces: Mapping[str, Path]) -> Done:
        """Run a Task's steps in order; like Tekton, end with the first that fails."""
        task = self.manifests["Task", name]["spec"]
        self.count += 1
        pod = self.folder / f"pod-{self.count}"
        for part in ("scratch", "results"):
            (pod / part).mkdir(parents=True)
            (pod / part).chmod(0o777)
        (pod / "scratch" / ".gitconfig").write_text(
            "[safe]\n\tdirectory = *\n[user]\n\tname = t\n\temail = t@example.org\n"
        )
        values = {f"params.{one['name']}": one["default"] for one in task["params"] if "default" in one}
        values |= {f"params.{key}": value for key, value in params.items()}
        for one in task.get("workspaces", []):
            place = workspaces.get(one["name"])
            assert place is not None or one.get("optional"), one["name"]
            values[f"workspaces.{one['name']}.path"] = str(place) if place else ""
        logs, code = "", 0
        for step in task["steps"]:
            code, said = self._step(step, task, pod, values)
            logs += said
            if code:
                break
        wanted = [one["name"] for one in task.get("results", [])]
        found = {one: (pod / "results" / one).read_text() for one in wanted if (pod / "results" / one).is_file()}
        return Done(code, {} if code else found, logs)

    def _step(self, step: Object, task: Object, pod: Path, values: Mapping[str, Any]) -> tuple[int, str]:
        mounted = {"/scratch": pod / "scratch", "/tekton/results": pod / "results"}
        volumes = {one["name"]: one for one in task["volumes"]}
        for mount in step["volumeMounts"]:
            secret = volumes[mount["name"]].get("secret")
            if secret:
                mounted[mount["mountPath"]] = self._mount(
                    pod, mount["name"], replaced(secret["secretName"], values), secret
                )
        environment = dict(self.environment)
        for one in step["env"]:
            text = expanded(replaced(one["value"], values), environment)
            at = next((path for path in mounted if text == path or text.startswith(f"{path}/")), "")
            environment[one["name"]] = f"{mounted[at]}{text.removeprefix(at)}" if at else text
        assert not _GIVEN.search(step["script"]), "a script holds a reference"
        apart = () if "netlify" in volumes else as_nobody()
        for path, place in mounted.items():
            if apart and path.startswith("/secrets/"):
                for one in (place, *place.iterdir()):
                    os.chown(one, NOBODY, NOBODY)
        self.users[step["name"]], self.seen[step["name"]] = NOBODY if apart else os.geteuid(), environment
        arguments = [word for text in step.get("args", []) for word in listed(text, values)]
        script = pod / f"{step['name']}.sh"
        script.write_text(step["script"])
        script.chmod(0o755)
        process = subprocess.Popen(
            [*apart, str(script), *arguments],
            cwd=mounted["/scratch"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=0o022,
            start_new_session=True,
        )
        if self.watch is not None:
            self.watch(step["name"], process)
        said, _ = process.communicate(timeout=280)
        for path, place in mounted.items():
            if path.startswith("/secrets/"):
                shutil.rmtree(place)
        assert "Traceback" not in said, said
        return process.returncode, said

    def _mount(self, pod: Path, name: str, secret: str, volume: Object) -> Path:
        """Return the folder of a Secret, which only the user of steps with secrets can read."""
        place = pod / f"secret-{name}"
        assert secret in self.secrets or volume["optional"], f"the pod would not start: there is no Secret {secret}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        for key, value in self.secrets.get(secret, {}).items():
            (place / key).write_text(value)
        return place

    def start(self, params: Mapping[str, Any], *, work: Path | None = None) -> PipelineRun:
        """Run the Pipeline; `work` is the volume of an earlier run that is retried."""
        run = PipelineRun(self, work or self.folder / f"work-{self.count}")
        run.go(params)
        return run


@dataclass
class PipelineRun:
    """One run of the Pipeline: what became of each of its Tasks, per tier."""

    cluster: Cluster
    work: Path
    done: dict[str, list[Done]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    status: str = "Succeeded"
    tries: dict[str, int] = field(default_factory=dict)

    @property
    def logs(self) -> str:
        """What every step printed."""
        return "".join(one.logs for runs in self.done.values() for one in runs)

    def go(self, params: Mapping[str, Any]) -> None:
        """Run the Tasks in their order, which is that of their dependencies, and then those of `finally`."""
        spec = self.cluster.manifests["Pipeline", "publisher"]["spec"]
        values = {f"params.{one['name']}": one["default"] for one in spec["params"] if "default" in one}
        values |= {f"params.{key}": value for key, value in params.items()}
        values["context.pipelineRun.name"] = "publisher-x7k2p"
        for task in spec["tasks"]:
            # Tekton skips a Task that takes a result of one that was skipped.
            if self._lacking(task) or not self._wanted(task, values):
                self.skipped.append(task["name"])
                continue
            if not self._run(task, values):
                self.status = "Failed"
                break
        values["tasks.status"] = "Completed" if self.status == "Succeeded" and self.skipped else self.status
        for task in spec["finally"]:
            if self._wanted(task, values):
                self._run(task, values)

    def _lacking(self, task: Object) -> bool:
        return any(f"$(tasks.{name}.results" in json.dumps(task["params"]) for name in self.skipped)

    def _wanted(self, task: Object, values: Mapping[str, Any]) -> bool:
        for when in task.get("when", []):
            others = [other for text in when["values"] for other in listed(text, values)]
            inside = replaced(when["input"], values) in others
            if inside != (when["operator"] == "in"):
                return False
        return True

    def _run(self, task: Object, values: dict[str, Any]) -> bool:
        plain = {key: value for key, value in values.items() if isinstance(value, str)}
        given: dict[str, Any] = {}
        for one in task["params"]:
            whole = one["value"].endswith("[*])")
            given[one["name"]] = listed(one["value"], values) if whole else replaced(one["value"], plain)
        places = {}
        for one in task["workspaces"]:
            if one["workspace"] == "work":
                places[one["name"]] = self._folder(one["subPath"])
        tiers = [listed(one["value"], values) for one in task.get("matrix", {}).get("params", [])]
        runs = []
        for more in [{"tier": tier} for tier in tiers[0]] if tiers else [{}]:
            for _ in range(1 + task.get("retries", 0)):
                self.tries[task["name"]] = self.tries.get(task["name"], 0) + 1
                done = self.cluster.run(task["taskRef"]["name"], given | more, places)
                if done.code == 0:
                    break
            runs.append(done)
        self.done[task["name"]] = runs
        for name in runs[0].results:
            found = [one.results[name] for one in runs if name in one.results]
            values[f"tasks.{task['name']}.results.{name}"] = found if tiers else found[0]
        return all(one.code == 0 for one in runs)

    def _folder(self, name: str) -> Path:
        place = self.work / name
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)
        return place


def image_environment() -> dict[str, str]:
    """Return the variables of the image: where its programs are."""
    return {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def pod_defaults(base: Path) -> Object:
    """Return what the template of a PipelineRun gives to all pods."""
    (run,) = objects(base)["TriggerTemplate", "publisher"]["spec"]["resourcetemplates"]
    shared = run["spec"]["taskRunTemplate"]
    return {"serviceAccountName": shared["serviceAccountName"], **shared["podTemplate"]}


def wrap(folder: Path, into: Path, pods: Object) -> None:
    """Write each step as a Pod, with what all pods have."""
    for (kind, name), task in objects(folder).items():
        for step in task["spec"]["steps"] if kind == "Task" else []:
            container = {
                "name": step["name"],
                "image": IMAGE,
                "imagePullPolicy": "Always",
                "command": ["/bin/bash"],
                "env": step["env"],
                "volumeMounts": step["volumeMounts"],
                "resources": step["computeResources"],
                "securityContext": step["securityContext"],
            }
            spec = {**pods, "containers": [container], "volumes": task["spec"]["volumes"]}
            metadata = {"name": f"{name}-{step['name']}", "namespace": "publisher"}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
            (into / f"pod-{name}-{step['name']}.yaml").write_text(yaml.safe_dump(pod))
