"""Small values that views of several pages are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """A place to go: what it is called, where it is (from the site's root), and whether the page is part of it."""

    label: str
    href: str
    section: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a list of facts; `code` where the value is for machines."""

    term: str
    value: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts under one heading."""

    heading: str
    entries: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """Lines to type, and what they do."""

    purpose: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A page before its template: its address from the site's root, its title, what search engines show, its view."""

    path: str
    title: str
    description: str
    view: object = None
