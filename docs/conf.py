"""How the documentation is built: `make docs`. Every warning is an error, dead links among them.

Sphinx with MyST, because it is maintained, checks links between pages and to headings, reads docstrings and notebooks,
and needs nothing but Python. The pages load nothing from elsewhere.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import declared  # noqa: E402 - it is beside this file

from publisher import __version__  # noqa: E402 - the same

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "publisher"
author = "the publisher contributors"
copyright = author  # noqa: A001 - Sphinx's name
release = version = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["*.py"]
html_theme = "furo"
html_title = f"publisher {release}"
html_show_sphinx = False
html_copy_source = html_show_sourcelink = False
default_role = "code"
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline"]
nb_execution_mode = "force" if os.environ.get("DOCS_EXECUTE", "1") == "1" else "off"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
suppress_warnings = ["myst.domains"]


def setup(app: Sphinx) -> None:
    """Write the generated pages before any page is read."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("builder-inited", lambda _: declared.write(HERE / "reference" / "made"))
