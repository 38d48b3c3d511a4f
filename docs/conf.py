"""How the documentation is built: `sphinx-build -W docs OUT`; recipe keys and commands are written from the code."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generated import write_reference

from speech_analogy import __version__

project = "speech-analogy"
author = "the speech-analogy authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "speech-analogy"
copybutton_exclude = ".linenos, .gp, .go"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_mock_imports: list[str] = []
napoleon_google_docstring = True
suppress_warnings = ["myst.xref_missing"]  # links out of docs/, to files of the repository

write_reference(Path(__file__).parent / "reference")
