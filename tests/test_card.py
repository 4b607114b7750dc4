"""The headline by itself: the card for frames, the picture that links are shared with, and the page about citing."""

from __future__ import annotations

import hashlib
import struct
from html import unescape
from typing import TYPE_CHECKING

import pytest

from publisher.errors import ConfigError
from publisher.render import build, card
from publisher.render.gather import gather
from tests.site_fixtures import Tags, files_fixture, own_fixture, pages, tree_fixture
from tests.trees import BRANCH, source

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["files_fixture", "own_fixture", "tree_fixture"]
PIN = f"https://{BRANCH}--word-problems.netlify.app"
DRAWING = b"""<svg xmlns="http://www.w3.org/2000/svg" width="300" height="120">
<circle cx="30" cy="60" r="25" fill="#0072b2"/>
<text x="70" y="80" font-size="60" font-family="Inter SemiBold">84.6 &#xb1;</text></svg>"""


def test_the_picture_is_a_png_of_the_size_that_pages_promise(files: dict[str, bytes]) -> None:
    """Width and height in the PNG's header are those in the Open Graph tags."""
    picture = files["preview.png"]
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == card.SIZE
    tags = {
        given.get("property"): given.get("content") for tag, given in Tags(files["index.html"]).all if tag == "meta"
    }
    assert (tags["og:image:width"], tags["og:image:height"]) == tuple(map(str, card.SIZE))
    assert len(picture) < 100_000


def test_equal_drawings_are_equal_bytes_on_every_machine() -> None:
    """The pinned library, with the vendored fonts and no others, gives the bytes that it gave when this was written."""
    digest = hashlib.sha256(card.picture(DRAWING)).hexdigest()
    assert digest == "da1694c5ad2689a00febfa67927c710f836ac681c0a46d6c06551581688712ec"


def test_the_picture_says_what_the_run_says(own: Path) -> None:
    """Another name is another picture; a name in letters that the fonts lack gives way to the snapshot's branch."""
    before = build(source(own))["preview.png"]
    record = own / "ledger/record.json"
    record.write_bytes(record.read_bytes().replace(b"Abacus-2M", b"Abacus-3M"))
    after = build(source(own))["preview.png"]
    assert before != after
    record.write_bytes(record.read_bytes().replace(b"Abacus-3M", "算盘".encode()))
    snapshot = gather(source(own))
    assert card.card(snapshot).drawn == snapshot.branch
    assert build(source(own))["preview.png"] not in {before, after}


def test_every_page_is_shared_with_the_picture(files: dict[str, bytes]) -> None:
    """Each page that is meant to be shared names the picture at the permanent address, with words for it."""
    for name, page in pages(files).items():
        if name != "card/index.html":
            assert f'<meta property="og:image" content="{PIN}/preview.png">' in page, name
            assert '<meta property="og:image:alt" content="Abacus-2M: words 80.0' in page, name


def test_the_card_shows_the_headline_and_leads_to_the_snapshot(files: dict[str, bytes]) -> None:
    """Score, error, interval, verdict and commit; its only link opens the snapshot outside the frame."""
    page = files["card/index.html"].decode()
    for said in ("80.0", "95 % interval", "kept", "words"):
        assert said in page
    links = [given for tag, given in Tags(page.encode()).all if tag == "a"]
    assert [(given["href"], given["target"], given["rel"]) for given in links] == [(f"{PIN}/", "_blank", "noopener")]


def test_the_citation_has_address_digest_and_snippets(files: dict[str, bytes], tree: Path) -> None:
    """The three forms name the permanent address and the record's digest; the snippets can be copied as they stand."""
    page = unescape(files["cite/index.html"].decode())
    digest = hashlib.sha256((tree / "ledger/record.json").read_bytes()).hexdigest()
    for said in ("@misc{", "cff-version: 1.2.0", f"record sha256:{digest}", f'<iframe src="{PIN}/card/"'):
        assert said in page
    assert f"({PIN}/preview.png)" in page
    assert page.count(f"{PIN}/") >= 5


def test_a_drawing_that_is_none_names_its_template(own: Path) -> None:
    """A team's own picture template that is not an SVG image is one message and no traceback."""
    path = own / "site/templates/preview.svg"
    path.parent.mkdir(parents=True)
    path.write_text("<p>not a drawing</p>")
    with pytest.raises(ConfigError, match=r"site/templates/preview\.svg"):
        build(source(own))


@pytest.mark.parametrize(
    "drawn",
    [
        '<image href="{file}" width="100" height="100"/>',
        "<image xlink:href = 'file://{file}' width='100' height='100'/>",
        '<image href="&#47;..{file}" width="100" height="100"/>',
        '<use href="{file}#a"/>',
    ],
)
def test_a_teams_picture_shows_no_file_of_the_machine_that_builds(own: Path, tmp_path: Path, drawn: str) -> None:
    """Another machine would make other bytes, and a file of this one is nobody's business; pictures inside may be."""
    (tmp_path / "private.png").write_bytes(build(source(own))["preview.png"])
    path = own / "site/templates/preview.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">'
    path.write_text(head + drawn.format(file=tmp_path / "private.png") + "</svg>")
    with pytest.raises(ConfigError, match=r"preview\.svg refers to something outside of it"):
        build(source(own))


def test_a_teams_picture_of_any_size_is_drawn_in_the_size_that_pages_promise() -> None:
    """A large one would fill the memory and end the process without a message."""
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="12000" height="6300"><circle r="9"/></svg>'
    assert struct.unpack(">II", card.picture(drawing.encode())[16:24]) == card.SIZE
