"""What a process that reads hostile data gives up: other users' files, the network, new programs, and being root.

A model file is somebody else's data read by a C++ parser, and an answer is a model's text read by a computer algebra
system. Should either take over its process, four things stand between that process and everything else, each of which
holds without the others:

* the process that starts it is not dumpable (`hide`), so its memory, environment and open files in `/proc` are closed
  to every process without CAP_SYS_PTRACE, and no confined process has a capability that opens them;
* it never runs as root: it becomes user 65534 and keeps no capability (`user`);
* Landlock lets it read its libraries, `/proc`, `/sys` and the files it was started for, and write to GPU devices only;
  it also ends ptrace of any process outside, whatever user that runs as (`landlock`);
* a seccomp filter answers EPERM to what neither Python nor a GPU driver needs: programs, new processes, connections,
  ptrace, mounts and more (`calls`).

What a kernel cannot do is listed in the `Confinement` that `confine` returns; the caller decides what to make of it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from publisher.confine import calls, landlock, user
from publisher.schema import Confinement

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38

GPU_DEVICES = ("/dev/nvidia*", "/dev/nvidia-caps/*", "/dev/dri/*", "/dev/kfd", "/dev/dxg")
"""Where NVIDIA, Mesa, AMD and WSL have their devices."""
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - AMD's driver shares its tables there
_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/opt", "/proc", "/sys", "/run/opengl-driver", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/vulkan", "/etc/OpenCL", "/etc/nvidia", "/etc/drirc"),
    *("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a confined process needs beyond Python and its libraries.

    `reads` and `writes` are descriptors of open files that it opens again by `/proc/self/fd`; `gpu` gives it the GPU
    devices.
    """

    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    gpu: bool = False


def hide() -> None:
    """Close this process's environment, memory and descriptors to its children; call it before any is started.

    Its environment stays in `/proc/self/environ` whatever is removed from `os.environ`. A process that is not dumpable
    keeps that file to itself and to processes with CAP_SYS_PTRACE.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def lend(descriptor: int) -> None:
    """Let a confined process open a file again for writing that this process has open."""
    if os.geteuid() == 0:
        os.fchown(descriptor, user.NOBODY, user.NOBODY)


def take_back(descriptor: int) -> None:
    """Own a file again that was lent."""
    if os.geteuid() == 0:
        os.fchown(descriptor, os.geteuid(), os.getegid())


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; end it at once where `parent` is gone already.

    Call it after `confine`: the kernel forgets this wish when a process changes its user.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(3)  # it died before the line above


def confine(profile: Profile = Profile()) -> Confinement:
    """Give up for good what `profile` does not name, and return what this kernel could do.

    Call it before any thread is started: Landlock and the filter apply to the calling thread and those it starts.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libraries = library_folders()
    devices = gpu_devices() if profile.gpu else []
    reads = [*_SYSTEM, *libraries, *map(_again, profile.reads)]
    shared = [_SHARED_MEMORY] if "/dev/kfd" in devices else []
    version = landlock.restrict(reads, [*map(_again, profile.writes), *shared], devices)
    needed = [*libraries, *_module_files(), *map(_again, profile.reads)]
    missing = user.drop(needed, devices, landlocked=version > 0)
    missing += landlock.missing(version)
    filtered = calls.install()
    if not filtered:
        missing.append("system calls are not filtered: the kernel or this processor's filter is missing")
    return Confinement(user=os.getuid(), landlock=version, calls=filtered, missing=missing)


def gpu_devices() -> list[str]:
    """Return the GPU devices of this machine, as paths."""
    return sorted(str(path) for pattern in GPU_DEVICES for path in Path("/").glob(pattern.lstrip("/")))


def library_folders() -> list[str]:
    """Return the folders and files that Python, its libraries and drivers are loaded from.

    An installation that is a checkout is on the module path too; only its package is among them, so that what lies
    beside it (a `.git` folder with credentials, say) stays closed.
    """
    package = Path(__file__).parents[1]
    checkout = package.parent if package.parent.name not in {"site-packages", "dist-packages"} else None
    prefixes = {Path(prefix) for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)}
    listed = ("LD_LIBRARY_PATH", "VK_DRIVER_FILES", "VK_ICD_FILENAMES")
    loader = [entry for name in listed for entry in os.environ.get(name, "").split(":")]
    found = {prefix / folder for prefix in prefixes for folder in ("lib", "lib64")}
    found |= {Path(entry) for entry in [*sys.path, *loader] if entry and Path(entry) not in {checkout, Path("/")}}
    # A folder that this user cannot reach counts as absent.
    return sorted(str(path) for path in {*found, package} if path.is_absolute() and os.access(path, os.F_OK))


def _module_files() -> list[str]:
    """Return the files of all modules that are loaded: a strict umask can close them though their folder is open."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return [file for file in files if isinstance(file, str) and Path(file).is_absolute() and os.access(file, os.F_OK)]


def _again(descriptor: int) -> str:
    """Return the path by which this process can open an open file once more."""
    return f"/proc/self/fd/{descriptor}"
