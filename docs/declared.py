"""The reference of every option, command and stored format, as Markdown made from the declarations in the code.

`conf.py` calls it before the site is built. What it writes is never committed, so it cannot be out of date.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import inspect as kinds

from publisher import registry, schema
from publisher.cli import COMMANDS, group
from publisher.config import Config, Rule
from publisher.sentences import sentences

Rows = list[tuple[str, ...]]
FILES: dict[str, type[schema.Struct]] = {
    "record.json": schema.Record,
    "samples.jsonl.gz": schema.Sample,
    "verdict.json": schema.Verdict,
    "report.json": schema.Report,
    "summary.json": schema.HistoryLine,
    "snapshot.json": schema.SnapshotName,
    "request-N.json": schema.BuildRequest,
    "answer-N.json": schema.BuildAnswer,
    "receipt-N.json": schema.Receipt,
    "pruned-N.json": schema.Pruned,
    "decision-N.json": schema.Decision,
    "notice-KIND.json": schema.Notice,
    "given-up.json": schema.GivenUp,
    "taken-down.json": schema.TakenDown,
    "pins/NAME-N.json": schema.Pin,
    "live/N-COMMIT.json": schema.LiveMove,
    "labels/RUN-ID/LABEL-N.json": schema.Label,
    "drift/RUN-ID-N.json": schema.DriftCheck,
}
"""What a ledger holds; a name without a folder is in `runs/RUN-ID/`."""
BRANCH: dict[str, type[schema.Struct]] = {"history.json": schema.History, "lessons/RUN-ID.json": schema.Lesson}
"""What the folder `ledger/` of a snapshot branch has beside the run's own files."""
SITE: dict[str, type[schema.Struct]] = {
    "manifest.json": schema.Manifest,
    "snapshot.json": schema.SiteSnapshot,
    "history.json": schema.History,
    "deploy.json": schema.SiteDeploy,
}
"""What every deploy has for programs. Its `schemas/` holds the JSON Schema of each."""


def pages() -> dict[str, str]:
    """Return {file name: Markdown} of every page."""
    return {"publisher-toml.md": _options(), "commands.md": _commands(), "formats.md": _formats(), "named.md": _named()}


def write(folder: Path) -> None:
    """Write the pages that have changed, so that a repeated build reads only those."""
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


# -- tables -----------------------------------------------------------------------------------------------------------


def table(heads: tuple[str, ...], rows: Rows) -> str:
    """Return rows as a Markdown table; line breaks and bars in a cell would end it."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    """Return text as a cell; outside of `code` an angle bracket would begin HTML."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def _about(kind: type) -> str:
    """Return what a class says of itself."""
    return inspect.cleandoc(kind.__doc__ or "")


# -- publisher.toml ---------------------------------------------------------------------------------------------------


def _options() -> str:
    """Return the page of every option of publisher.toml."""
    head = (
        "# publisher.toml\n\nEvery table and option, made from their declarations. `publisher schema` prints the same "
        "for editors. Unknown keys and wrong values are all reported at once, with suggestions.\n"
    )
    parts = [head]
    waiting: list[tuple[str, type[msgspec.Struct]]] = [("", Config)]
    rules: dict[str, type[msgspec.Struct]] = {}
    while waiting:
        path, kind = waiting.pop(0)
        inner = _sections(kind, path, rules)
        waiting = inner + waiting
        rows = _option_rows(kind, {place.rpartition(".")[2] for place, _ in inner})
        if path:
            parts.append(f"## [{path}]\n\n{_about(kind)}\n")
        if rows and path:
            parts.append(table(("option", "value", "default", "meaning"), rows))
    parts.append(f'## Rules\n\nA list of tables in `[gate]` or in a tier: `{{ rule = "NAME", … }}`. {_about(Rule)}\n')
    for name, kind in rules.items():
        parts.append(f"### {name}\n\n{_about(kind)}\n")
        parts.append(table(("option", "value", "default", "meaning"), _option_rows(kind, set())))
    return "\n".join(parts)


def _sections(
    kind: type[msgspec.Struct], path: str, rules: dict[str, type[msgspec.Struct]]
) -> list[tuple[str, type[msgspec.Struct]]]:
    """Return the tables inside a table by their paths; those with a tag are rules."""
    found: list[tuple[str, type[msgspec.Struct]]] = []
    for field in msgspec.structs.fields(kind):
        for info, keyed in _structs(kinds.type_info(field.type)):
            if info.tag_field:
                rules.setdefault(str(info.tag), info.cls)
                continue
            name = f"{path}.{field.encode_name}" if path else field.encode_name
            found.append((f"{name}.NAME" if keyed else name, info.cls))
    return found


def _structs(info: Any, *, keyed: bool = False) -> list[tuple[Any, bool]]:
    """Return the tables in a type, and whether a name leads to each."""
    match info:
        case kinds.StructType():
            return [(info, keyed)]
        case kinds.DictType():
            return _structs(info.value_type, keyed=True)
        case kinds.UnionType():
            return [one for part in info.types for one in _structs(part, keyed=keyed)]
        case kinds.ListType():
            return _structs(info.item_type)
        case kinds.Metadata():
            return _structs(info.type, keyed=keyed)
    return []


def _option_rows(kind: type[msgspec.Struct], tables: set[str]) -> Rows:
    said = sentences(kind)
    rows: Rows = []
    for field in msgspec.structs.fields(kind):
        if field.encode_name in tables:
            continue
        default = "required" if field.required else _default(field)
        rows.append((f"`{field.encode_name}`", _words(kinds.type_info(field.type)), default, said.get(field.name, "")))
    return rows


def _default(field: Any) -> str:
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or isinstance(value, msgspec.Struct):
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"


def _words(info: Any) -> str:  # noqa: PLR0911 - one line per kind of value
    """Return which values a type takes, as readers say it."""
    match info:
        case kinds.Metadata():
            said = (info.extra_json_schema or {}).get("description", "")
            return said or _words(info.type)
        case kinds.LiteralType():
            return ", ".join(f"`{msgspec.json.encode(value).decode()}`" for value in info.values)
        case kinds.UnionType():
            found = [_words(part) for part in info.types if not isinstance(part, kinds.NoneType)]
            return "the rules below" if len(found) > 4 else " or ".join(dict.fromkeys(found))
        case kinds.ListType() | kinds.CollectionType():
            return f"a list: {_words(info.item_type)}"
        case kinds.VarTupleType():
            return f"a list: {_words(info.item_type)}"
        case kinds.TupleType():
            return f"({', '.join(_words(part) for part in info.item_types)})"
        case kinds.DictType():
            return f"by name: {_words(info.value_type)}"
        case kinds.StructType():
            name = info.cls.__name__
            is_stored = issubclass(info.cls, schema.Struct)
            return "a rule" if info.tag_field else f"[{name}](#{name.lower()})" if is_stored else "a table"
    plain = {kinds.StrType: "text", kinds.IntType: "a whole number", kinds.FloatType: "a number"}
    return {**plain, kinds.BoolType: "`true` or `false`"}.get(type(info), "any value")


# -- commands ---------------------------------------------------------------------------------------------------------


def _commands() -> str:
    """Return the page of every command with its arguments and options."""
    context = click.Context(group, info_name="publisher")
    parts = [f"# Commands\n\n{_help(group)}\n", _parameters(group, context)]
    for name in COMMANDS:
        module = importlib.import_module(f"publisher.cli.{name.replace('-', '_')}")
        parts += _command(module.command, context, name, 2)
    return "\n".join(parts)


def _command(command: click.Command, parent: click.Context, name: str, level: int) -> list[str]:
    """Return a command, and those below it."""
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [
        f"{'#' * level} {context.command_path}\n",
        f"```\n{context.command_path} {usage}\n```\n\n{_help(command)}\n",
        _parameters(command, context),
    ]
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                parts += _command(found, context, below, level + 1)
    return parts


def _help(command: click.Command) -> str:
    return _plain(inspect.cleandoc(command.help or ""))


def _plain(text: str) -> str:
    """Return a command's words as Markdown: what is in angle brackets or between stars means itself."""
    return text.replace("<", "\\<").replace("*", "\\*").replace("\b\n", "")


def _parameters(command: click.Command, context: click.Context) -> str:
    """Return a command's options as a table."""
    rows: Rows = []
    for option in command.get_params(context):
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None and "--help" not in record[0]:
            rows.append((f"`{record[0]}`", _plain(record[1])))
    return table(("option", "meaning"), rows) if rows else ""


# -- stored formats ---------------------------------------------------------------------------------------------------


def _formats() -> str:
    """Return the page of every stored file and the values in it."""
    values: dict[str, type[msgspec.Struct]] = {}
    named = {*FILES.values(), *BRANCH.values(), *SITE.values()}
    others = {kind.__name__: kind for kind in versioned() if kind not in named}
    for kind in (*named, *others.values()):
        _gather(kinds.type_info(kind), values)
    parts = [
        f"# Stored formats\n\n{inspect.cleandoc(schema.__doc__ or '')}\n",
        f"## In the ledger\n\nFiles without a folder are in `runs/RUN-ID/`.\n\n{_files(FILES)}",
        f"## In a snapshot branch\n\nThe folder `ledger/` has the run's own files and these.\n\n{_files(BRANCH)}",
        f"## In a deploy\n\n{_files(SITE)}",
        f"## Elsewhere\n\n{_files(others)}",
        "## Values\n",
    ]
    for name, kind in sorted(values.items()):
        parts.append(f"### {name}\n\n{_about(kind)}\n")
        parts.append(table(("field", "value", "default", "meaning"), _option_rows(kind, set())))
    return "\n".join(parts)


def versioned() -> list[type[schema.Struct]]:
    """Return every stored value that has a schema version of its own."""
    found = (kind for _, kind in sorted(vars(schema).items()) if isinstance(kind, type))
    return [kind for kind in found if issubclass(kind, schema.Struct) and "schema" in kind.__struct_fields__]


def _files(files: dict[str, type[schema.Struct]]) -> str:
    """Return stored files as a table."""
    rows: Rows = [(f"`{name}`", _words(kinds.type_info(kind)), _first(kind)) for name, kind in files.items()]
    return table(("file", "value", "what"), rows)


def _first(kind: type) -> str:
    return _about(kind).partition("\n")[0]


def _gather(info: Any, found: dict[str, type[msgspec.Struct]]) -> None:
    """Add every stored value in a type."""
    if isinstance(info, kinds.StructType):
        if info.cls.__name__ in found:
            return
        found[info.cls.__name__] = info.cls
        for field in info.fields:
            _gather(field.type, found)
    for name in ("type", "item_type", "value_type"):
        inner = getattr(info, name, None)
        if inner is not None:
            _gather(inner, found)
    for inner in (*getattr(info, "types", ()), *getattr(info, "item_types", ())):
        _gather(inner, found)


# -- what has a name --------------------------------------------------------------------------------------------------


def _named() -> str:
    """Return the page of benchmarks and sampling presets that publisher knows by name."""
    suites = [(name, registry.suite(name)) for name in registry.suite_names()]
    rows: Rows = [
        (f"`{name}`", entry.title, str(entry.problems), f"`{entry.grader}`", str(entry.samples), entry.licence)
        for name, entry in suites
    ]
    presets: Rows = [
        (f"`{name}`", ", ".join(f"`{key} = {value}`" for key, value in registry.preset(name).items()))
        for name in registry.preset_names()
    ]
    return (
        "# Benchmarks and presets\n\n"
        '`[suites.NAME] use = "aime25"` takes a benchmark by name, `[model.sampling] preset = "…"` a preset; keys '
        "beside them override.\n\n## Benchmarks\n\n"
        f"{table(('name', 'title', 'problems', 'grader', 'samples', 'licence'), rows)}\n"
        f"## Sampling presets\n\n{table(('name', 'options'), presets)}"
    )
