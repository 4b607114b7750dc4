"""A team's own site: templates that extend ours, a theme, static files, and one message for each mistake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from publisher.errors import ConfigError
from publisher.render import build, links, render, site_folder
from publisher.render.material import LARGEST
from tests.site_fixtures import own_fixture, pages
from tests.trees import BRANCH, source

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["own_fixture"]


def put(tree: Path, name: str, data: str | bytes) -> Path:
    """Put a file into the tree's own site."""
    path = tree / "site" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def mistake(tree: Path, into: Path) -> ConfigError:
    """Return the one mistake of a tree whose site is rendered over an older one, which stays as it was."""
    into.mkdir()
    (into / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError) as caught:
        render(source(tree), into)
    assert [path.name for path in into.iterdir()] == ["manifest.json"]
    assert not list(into.parent.glob(f".{into.name}.*"))
    return caught.value


# -- extending --------------------------------------------------------------------------------------------------------


def test_a_template_extends_the_shipped_one_of_its_own_name(own: Path) -> None:
    """A team's base.html adds a line to every page and keeps the rest of ours; so does one page's template."""
    put(
        own,
        "templates/base.html",
        '{% extends "publisher/base.html" %}{% block footer %}<p>Our lab</p>{{ super() }}{% endblock %}',
    )
    put(
        own,
        "templates/history.html",
        '{% extends "publisher/history.html" %}{% block main %}<p>Read me</p>{{ super() }}{% endblock %}',
    )
    site = build(source(own))
    for name, page in pages(site).items():
        if name != "card/index.html":
            assert "<p>Our lab</p>" in page, name
            assert "This snapshot never changes." in page, name
    assert "<p>Read me</p>" in site["history/index.html"].decode()
    assert "newest first" in site["history/index.html"].decode()
    assert links.check(site) == []


def test_a_theme_is_linked_after_our_style(own: Path) -> None:
    """Custom properties in theme.css come after ours on every page, the card included."""
    put(own, "assets/theme.css", ":root { --good: #7a1fa2 }")
    for name, page in pages(build(source(own))).items():
        ours, theirs = (re.search(rf"assets/{sheet}\.[0-9a-f]{{12}}\.css", page) for sheet in ("site", "theme"))
        assert ours, name
        assert theirs, name
        assert ours.start() < theirs.start(), name


def test_static_files_are_copied_as_they_are(own: Path) -> None:
    """Each keeps its path and its bytes, is in the manifest, and can be linked to."""
    put(own, "static/paper.pdf", b"%PDF-1.7 \x00\xff")
    put(own, "static/.well-known/security.txt", "Contact: mailto:lab@example.org\n")
    put(own, "content/team.md", "# Team\n\n[The paper](../paper.pdf)\n")
    site = build(source(own))
    assert site["paper.pdf"] == b"%PDF-1.7 \x00\xff"
    assert b'"paper.pdf"' in site["manifest.json"]
    assert ".well-known/security.txt" in site
    assert links.check(site) == []


GUIDE = site_folder().parent / "docs/theming.md"


def test_what_the_guide_shows_works(own: Path) -> None:
    """The style sheet and the template of the guide render, and the names that it gives are those of the site."""
    guide = GUIDE.read_text()
    shown = dict(re.findall(r"```(css|jinja)\n(.*?)```", guide, re.DOTALL))
    put(own, "assets/theme.css", shown["css"])
    put(own, "templates/base.html", shown["jinja"])
    put(own, "content/team.md", "# Team\n")
    site = build(source(own))
    assert "Measured by the reasoning group." in site["index.html"].decode()
    assert links.check(site) == []
    ours = (site_folder() / "assets/site.css").read_text()
    for name in set(re.findall(r"--[a-z][a-z-]+", guide)):
        assert f"  {name}: " in ours, name
    base = (site_folder() / "templates/base.html").read_text()
    said = re.search(r"The blocks of `base.html` are (.*?)\.\s+Each", guide, re.DOTALL)
    assert said
    named = re.sub(r"\(.*?\)", "", said[1], flags=re.DOTALL)
    assert set(re.findall(r"`([a-z]+)`", named)) == set(re.findall(r"{% block (\w+) %}", base))


# -- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("static/index.html", "/index.html: "),
        ("static/History/Index.html", "/History/Index.html: "),
        ("static/history", "/history: "),
        ("static/index.html/x.txt", "/index.html/x.txt: "),
        ("static/manifest.json", "/manifest.json: "),
        ("static/_headers", "/_headers: "),
        ("static/_redirects", "/_redirects: "),
        ("static/preview.png", "/preview.png: "),
    ],
)
def test_two_outputs_with_one_path(own: Path, tmp_path: Path, name: str, message: str) -> None:
    """A static file where publisher writes one, whatever the case of its letters, names both and writes nothing."""
    put(own, name, "mine")
    said = mistake(own, tmp_path / "dist").message
    assert f"two outputs with one path, {message}" in said
    assert f"site/{name}" in said


@pytest.mark.parametrize("name", ["a b.txt", "x?y.txt", "x#y.txt", ".env", ".git/config", "x\ny", "a/.hidden", "ü.txt"])
def test_a_name_that_cannot_stand_in_an_address(own: Path, tmp_path: Path, name: str) -> None:
    """Hidden files, spaces, controls and the signs of addresses are named and nothing is written."""
    put(own, f"static/{name}", "mine")
    assert "cannot be served" in mistake(own, tmp_path / "dist").message


@pytest.mark.parametrize("where", ["static/passwd", "static", "static/folder", "templates/404.html", "assets/x.css"])
def test_a_link_out_of_the_tree_is_not_followed(own: Path, tmp_path: Path, where: str) -> None:
    """A file, a folder or a whole part that is a link could show any file of the machine that builds."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "passwd").write_text("root:x:0:0")
    path = own / "site" / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(secret if where.endswith(("static", "folder")) else secret / "passwd")
    said = mistake(own, tmp_path / "dist")
    assert f"site/{where} is a link" in said.message


def test_a_site_folder_that_is_a_link(own: Path, tmp_path: Path) -> None:
    """The folder itself is held to the same rule."""
    elsewhere = tmp_path / "elsewhere/static"
    elsewhere.mkdir(parents=True)
    (elsewhere / "x.txt").write_text("x")
    (own / "site").symlink_to(elsewhere.parent)
    assert "is a link" in mistake(own, tmp_path / "dist").message


def test_a_file_that_hosts_do_not_serve_well(own: Path, tmp_path: Path) -> None:
    """A file above the limit is named with both sizes."""
    path = put(own, "static/model.gguf", "")
    with path.open("r+b") as file:
        file.truncate(LARGEST + 1)
    assert "site/static/model.gguf has 10.0 MB" in mistake(own, tmp_path / "dist").message


def test_the_name_of_the_shipped_files_is_taken(own: Path, tmp_path: Path) -> None:
    """A team cannot put itself in the place of what it extends."""
    put(own, "templates/publisher/base.html", "mine")
    assert "stands for the shipped files" in mistake(own, tmp_path / "dist").message


@pytest.mark.parametrize(
    ("template", "line", "said"),
    [
        ("\n{{ site.nonsense }}", 2, "nonsense"),
        ("\n\n{{ view.gone.deeper }}", 3, "gone"),
        ("{{ unheard_of }}", 1, "'unheard_of' is undefined"),
        ("\n{% if %}", 2, "Expected an expression"),
        ("\n{{ 1 + 'x' }}", 2, "TypeError"),
        ("\n{{ assets['gone.css'] }}", 2, "there is no asset 'gone.css'"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}\n{% endfor %}", 1, "200,000 times"),
        (
            "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}\n{{ f(40) }}",
            1,
            "200,000 times",
        ),
        ("\n{{ 9 ** (9 ** 9) }}", 2, "the result of ** would be too large"),
        ("\n{{ 'x' * 10 ** 12 }}", 2, "the result of * would be too large"),
        ("\n{{ range(10 ** 9) | list }}", 2, "Range too big"),
        ("\n{{ self.main() }}{% block main %}{{ self.main() }}{% endblock %}", 2, "without end"),
        ("\n{{ ''.__class__ }}", 2, "__class__"),
        ("\n{{ site.nav.append(1) }}", 2, "append"),
    ],
)
def test_whatever_goes_wrong_in_a_template_is_one_message(
    own: Path, tmp_path: Path, template: str, line: int, said: str
) -> None:
    """Undefined names, syntax, types, endless loops and recursion: template, line, cause, and nothing is written."""
    put(own, "templates/404.html", template)
    caught = mistake(own, tmp_path / "dist")
    assert caught.message.startswith(f"site/templates/404.html, line {line}: ")
    assert said in caught.message


def test_the_line_of_a_mistake_is_shown(own: Path, tmp_path: Path) -> None:
    """What stands in the line helps to find the variable."""
    put(own, "templates/404.html", "<p>\n<b>{{ site.nonsense + 1 }}</b>")
    assert mistake(own, tmp_path / "dist").detail == "<b>{{ site.nonsense + 1 }}</b>"


@pytest.mark.parametrize(
    ("sheet", "fault"),
    [
        ("body { background: url(gone.svg) }", "loads 'gone.svg': there is no such file"),
        ("@import 'gone.css';", "loads 'gone.css': there is no such file"),
        ('@import url("https://fonts.example/x.css");', "which the site's policy blocks"),
        ("body { background: url( '//evil.example/x.png' ) }", "which the site's policy blocks"),
    ],
)
def test_a_style_sheet_that_loads_what_is_not_there(own: Path, tmp_path: Path, sheet: str, fault: str) -> None:
    """A missing picture, or one from elsewhere that the policy would block, stops the build."""
    put(own, "assets/theme.css", sheet)
    assert fault in mistake(own, tmp_path / "dist").detail


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("content/team.md", "# Team\n\n[x](../gone/)\n", "there is no such file"),
        ("content/team.md", "# Team\n\n[x](../history/#gone)\n", "no such anchor"),
        ("templates/404.html", "<img srcset='gone.png 2x' alt=''>", "there is no such file"),
    ],
)
def test_a_broken_link_stops_the_build(own: Path, tmp_path: Path, name: str, data: str, fault: str) -> None:
    """A page, an anchor or a picture that is not there."""
    put(own, name, data)
    assert fault in mistake(own, tmp_path / "dist").detail


@pytest.mark.parametrize("name", ["team.txt", "Team.md", "team/index.md", "de/team.txt", "team.markdown"])
def test_an_unknown_page_in_content(own: Path, tmp_path: Path, name: str) -> None:
    """A file that can be no page is not passed over."""
    put(own, f"content/{name}", "# Team\n")
    assert f"site/content/{name} cannot be a page" in mistake(own, tmp_path / "dist").message


def test_other_folders_of_a_teams_site_are_its_own(own: Path) -> None:
    """What else a repository keeps in site/ is neither read nor published."""
    put(own, "notes/draft.md", "secret")
    (own / "site" / "link").symlink_to("/etc")
    site = build(source(own))
    assert not any(b"secret" in data and b"draft" in data for data in site.values())
    assert BRANCH in site["index.html"].decode()
