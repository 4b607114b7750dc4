"""Secrets from files: `NAME_FILE` names a file whose contents count as the variable NAME, as Kubernetes mounts them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from publisher.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SUFFIX = "_FILE"
LARGEST = 16 << 10
"""Bytes of a file that is read: no secret is longer."""


def from_files(names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets among `names` that files hold, by variable; UsageError where one cannot be read.

    Neither the message nor anything else shows what is in a file.
    """
    wanted = {name: environment.get(name + SUFFIX, "") for name in names}
    return {name: _secret(name, path, environment) for name, path in wanted.items() if path}


def _secret(name: str, path: str, environment: Mapping[str, str]) -> str:
    """Return the contents of the file that a variable names, without the newline that editors leave at its end."""
    variable = name + SUFFIX
    if environment.get(name):
        raise UsageError(f"{name} and {variable} are both set", hint=f"unset one of them: env -u {name} publisher …")
    try:
        # A pipe that nobody writes to would be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise UsageError(f"{variable}: {path} is not a file", hint=f"{variable}=FILE")
            data = stream.read(LARGEST + 1)
    except OSError as error:
        hint = "is the Secret there, and has it this key?" if isinstance(error, FileNotFoundError) else ""
        if isinstance(error, PermissionError):
            hint = f"it has to be readable by user {os.geteuid()}: in a pod, set fsGroup and the volume's defaultMode"
        raise UsageError(f"{variable}: cannot read {path}: {error.strerror}", hint=hint) from None
    if len(data) > LARGEST:
        raise UsageError(f"{variable}: {path} is larger than {LARGEST} bytes, so it holds no secret of ours")
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        raise UsageError(f"{variable}: {path} is not text") from None
    if not text:
        raise UsageError(f"{variable}: {path} is empty", hint=f"write the secret into it, or unset {variable}")
    if "\0" in text:
        raise UsageError(f"{variable}: {path} is not text")
    return text
