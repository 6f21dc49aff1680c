"""How Sphinx builds the site: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import waterflow.workflow  # noqa: F401  # autodoc pretends to check types, which FastAPI and MLflow do not survive

project = "Waterflow"
author = "The Waterflow authors"
project_copyright = "2026, the Waterflow authors"

extensions = ["myst_parser", "sphinx.ext.autodoc", "code_reference"]
exclude_patterns = ["_ext"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
highlight_language = "none"  # most blocks are transcripts

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "Waterflow"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
