"""The templates: one strict, sandboxed environment, and one message for whatever goes wrong in a team's own.

A team's template is a program of the commit's: it can neither reach Python's inside nor run without end, and any
exception at all that comes out of it is told with template and line.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context  # noqa: TC002 - jinja reads it
from jinja2.sandbox import ImmutableSandboxedEnvironment

from publisher.errors import ConfigError, PublisherError
from publisher.render import text
from publisher.render.compiled import Compiled
from publisher.render.language import named, translated, translated_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


FOLDER = "site/templates/"
MOST_TURNS = 200_000
"""Turns of loops and calls of macros in a team's templates, in all: more than any site needs, in under a second."""
MOST_OF_ONE = 1_000_000
"""Characters, items or bits that one multiplication or power may make."""


class Assets(dict[str, str]):
    """The path of each asset by its name; a missing one is an error that names it."""

    def __missing__(self, name: str) -> str:
        """Raise ConfigError."""
        raise ConfigError(f"there is no asset {name!r} in site/assets/")


class Templates(ImmutableSandboxedEnvironment):
    """The environment of a site's templates."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self, sources: Mapping[str, bytes], own: Collection[str]) -> None:
        """Take the templates by name, and the names of those that are a team's own."""
        self._sources, self._own, self._turns = sources, frozenset(own), 0
        super().__init__(
            loader=jinja2.FunctionLoader(self._load),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            extensions=["jinja2.ext.i18n"],
            bytecode_cache=Compiled(Path(__file__), self._own),
        )
        # It writes as much filler text as it is asked for.
        del self.globals["lipsum"]
        self.filters["named"] = _named
        # `_("…", name=value)` in a template escapes its values, and takes the sentence itself as markup.
        self.install_gettext_callables(translated, translated_of, newstyle=True)  # type: ignore[attr-defined]

    def page(self, name: str, **values: object) -> bytes:
        """Render one template; ConfigError names the template, the line and what is wrong there."""
        try:
            return self.get_template(name).render(**values).encode()
        except jinja2.TemplateSyntaxError as error:
            raise self._mistake(error.name or name, error.lineno, str(error.message)) from error
        except jinja2.TemplateNotFound as error:
            raise self._mistake(*_place(error, name), f"there is no template {error.name!r}") from error
        except RecursionError as error:
            raise self._mistake(*_place(error, name), "it includes or calls itself without end") from error
        # A template is a program of the team's own: any exception at all may come out of it.
        except Exception as error:
            raise self._mistake(*_place(error, name), _said(error)) from error

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an attribute; that of a view at once, since it is asked for hundreds of thousands of times."""
        if not attribute.startswith("_") and type(obj).__module__.startswith("publisher.render."):
            try:
                return getattr(obj, attribute)
            except AttributeError:
                return super().getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Return whether a template may read `attr` of `obj`: of a view that is decided by the name alone.

        A view is frozen and holds values only: nothing of it but names with an underscore leads out of the sandbox.
        """
        if type(obj).__module__.startswith("publisher.render."):
            return not attr.startswith("_")
        return super().is_safe_attribute(obj, attr, value)

    def turn(self) -> None:
        """Count a turn of a loop or a call of a macro in a team's template; SecurityError above the limit."""
        self._turns += 1
        if self._turns > MOST_TURNS:
            raise SecurityError(f"the loops and macros of the site's own templates run over {MOST_TURNS:,} times")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiply or raise to a power, unless the result would fill the memory."""
        if _made(operator, left, right) > MOST_OF_ONE:
            raise SecurityError(f"the result of {operator} would be too large")
        return super().call_binop(context, operator, left, right)

    def _load(self, name: str) -> tuple[str, str, None] | None:
        if name not in self._sources:
            return None
        try:
            return self._sources[name].decode(), f"{FOLDER}{name}", None
        except UnicodeDecodeError as error:
            raise self._mistake(name, 0, "it is not UTF-8") from error

    def _generate(self, source: nodes.Template, name: str | None, *more: Any, **options: Any) -> str:
        """Compile a template; a team's own counts its turns, so that no loop runs without end."""
        if name in self._own:
            loops: list[nodes.For | nodes.Macro] = [*source.find_all(nodes.For), *source.find_all(nodes.Macro)]
            for node in loops:
                count = nodes.Call(nodes.EnvironmentAttribute("turn"), [], [], None, None)
                node.body.insert(0, nodes.ExprStmt(count).set_lineno(node.lineno, override=True))
        return super()._generate(source, name, *more, **options)

    def _mistake(self, template: str, line: int, what: str) -> ConfigError:
        where = f"{FOLDER}{template}" + (f", line {line}" if line else "")
        lines = self._sources.get(template, b"").decode(errors="replace").splitlines()
        shown = text.line(lines[line - 1], 160) if 0 < line <= len(lines) else ""
        return ConfigError(f"{where}: {what}", detail=shown, hint=f"correct {FOLDER}{template}")


@jinja2.pass_context
def _named(_: Context, word: str) -> str:
    """Return a word in the site's language; taking the context keeps it out of the code, which all languages share."""
    return named(word)


def _said(error: Exception) -> str:
    """Return what an exception says, with its kind where that is not a template's own."""
    if isinstance(error, PublisherError):
        return error.message
    said = text.line(str(error), 300) or "it failed"
    return said if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: {said}"


def _place(error: BaseException, name: str) -> tuple[str, int]:
    """Return the template and the line that an exception came from, as far as its traceback tells."""
    found = name, 0
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.startswith(FOLDER):
            found = frame.f_code.co_filename.removeprefix(FOLDER), line
    return found


def _made(operator: str, left: Any, right: Any) -> int:
    """Return about how many characters, items or bits a product or power of two values has; 0 where it is a float."""
    if isinstance(left, int) and isinstance(right, int):
        if operator == "**":
            return left.bit_length() * max(right, 0)
        return left.bit_length() + right.bit_length()
    for many, times in ((left, right), (right, left)):
        if isinstance(many, (str, bytes, list, tuple)) and isinstance(times, int):
            return len(many) * max(times, 0)
    return 0
