"""Manifests as YAML: the same values give the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publisher.tekton.settings import Manifest

HEADER = "# Written by `publisher tekton render`: change publisher.toml or the options, not this file.\n"


class _Dumper(yaml.SafeDumper):
    """Writes scripts as blocks, and never a reference to an object that occurs twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT002 - as above
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def document(manifests: Iterable[Manifest]) -> bytes:
    """Return one file of manifests, in their order."""
    return (HEADER + "---\n".join(plain(one) for one in manifests)).encode()


def plain(value: object) -> str:
    """Return one value as YAML."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=4096)
