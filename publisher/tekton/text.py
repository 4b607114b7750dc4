"""Manifests as YAML: the same values give the same bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publisher.tekton.settings import Manifest

HEADER = "# Written by `publisher tekton render`: change publisher.toml or the options, not this file.\n"


_OTHERWISE = re.compile(r"[yYnN]|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?0o?[0-7]+")
"""Text that Kubernetes' reader of YAML takes for a number or a truth value, and the library here does not."""


class _Dumper(yaml.SafeDumper):
    """Writes scripts as blocks, and never a reference to an object that occurs twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT002 - as above
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _OTHERWISE.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def document(manifests: Iterable[Manifest]) -> bytes:
    """Return one file of manifests, in their order."""
    return (HEADER + "---\n".join(plain(one) for one in manifests)).encode()


def plain(value: object) -> str:
    """Return one value as YAML."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096)
