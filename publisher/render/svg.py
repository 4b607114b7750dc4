"""A small builder of SVG elements: every text and attribute is escaped by the serialiser, never by hand."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from markupsafe import Markup

Child = ET.Element | str


def element(tag: str, /, *children: Child | None, **attributes: str | float | None) -> ET.Element:
    """Return an element; `class_` stands for `class`, an underscore for a hyphen, and None leaves an attribute out.

    Numbers are written with at most one decimal: a tenth of a pixel is enough, and the bytes are the same everywhere.
    """
    node = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            node.set(_name(name), value if isinstance(value, str) else number(value))
    for child in children:
        if isinstance(child, str):
            node.text = (node.text or "") + child
        elif child is not None:
            node.append(child)
    return node


def _name(name: str) -> str:
    return name if name == "viewBox" else name.rstrip("_").replace("_", "-")


def number(value: float) -> str:
    """Return a coordinate with at most one decimal, without a trailing zero."""
    shown = f"{value:.1f}".removesuffix(".0")
    return "0" if shown == "-0" else shown


def path(points: list[tuple[float, float]], *, closed: bool = False) -> str:
    """Return the path data of a line through `points`."""
    steps = " ".join(f"{number(x)} {number(y)}" for x, y in points)
    return f"M{steps}{'Z' if closed else ''}" if points else ""


def markup(node: ET.Element) -> Markup:
    """Return an element as markup that templates may include as it is."""
    return Markup(ET.tostring(node, encoding="unicode"))  # noqa: S704 - the serialiser escaped every text and attribute
