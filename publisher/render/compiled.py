"""Compiled templates, kept as Python keeps compiled modules: beside them, and made anew where anything differs.

Compiling our templates takes a third of what it costs to render a site. A team's own are never kept: they are compiled
in another way (`Templates._generate`), and nothing of a commit's may stay behind for the next one.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import marshal
import os
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from jinja2.bccache import Bucket, BytecodeCache

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import CodeType

    from jinja2 import Environment

_DIGEST = sha256().digest_size
_seen: dict[bytes, CodeType] = {}
"""The code that this process has read or made, by what it was made from: a process may render many sites."""


class Compiled(BytecodeCache):
    """The code of the shipped templates, in files in the `__pycache__` of `compiler`, the module that compiles them.

    A file holds a digest and the code. The digest covers the template, the code itself, Python's and Jinja's versions
    and the compiler's own source, so that neither an older nor a damaged file is ever run.
    """

    def __init__(self, compiler: Path, own: Collection[str]) -> None:
        """Take the module's file, and the names of the templates that are a team's own."""
        self._folder = Path(importlib.util.cache_from_source(str(compiler))).parent
        self._compiler, self._own = compiler, own

    @functools.cached_property
    def _made_by(self) -> bytes:
        versions = f"{sys.implementation.cache_tag} {sys.hexversion} {jinja2.__version__}\n"
        return versions.encode() + self._compiler.read_bytes()

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        """Return a template's place in the cache, with its code where that is there."""
        if name in self._own:
            return Bucket(environment, "", "")
        return super().get_bucket(environment, name, filename, source)

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take the code from its file, where that holds the code of this very template."""
        source = self._digest(bucket)
        bucket.code = _seen.get(source)
        if bucket.code is not None:
            return
        with contextlib.suppress(OSError):
            data = self._file(bucket).read_bytes()
            if data[:_DIGEST] == self._digest(bucket, data[_DIGEST:]):
                bucket.code = marshal.loads(data[_DIGEST:])  # noqa: S302 - as trusted as the modules beside it
                _seen[source] = bucket.code

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write the code into its file, unless Python is told to write none; a folder that is not ours is no error."""
        if not bucket.key or bucket.code is None:
            return
        _seen[self._digest(bucket)] = bucket.code
        if sys.dont_write_bytecode:
            return
        code = marshal.dumps(bucket.code)
        with contextlib.suppress(OSError):
            handle, name = tempfile.mkstemp(dir=self._folder, prefix="template.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self._digest(bucket, code) + code)
                Path(name).replace(self._file(bucket))
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / f"template.{bucket.key[:16]}.{sys.implementation.cache_tag}"

    def _digest(self, bucket: Bucket, code: bytes = b"") -> bytes:
        return sha256(b"\0".join((self._made_by, bucket.key.encode(), bucket.checksum.encode(), code))).digest()
