# SPDX-License-Identifier: MIT
"""
How Sphinx builds these pages, which are Markdown. ``make docs`` puts them into ``build/docs``.
"""

from importlib.metadata import version as version_of

project = "powercoord"
author = "the powercoord authors"
copyright = f"2026, {author}"
release = version_of("powercoord")
version = release

extensions = ["myst_parser"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "alabaster"
html_title = f"powercoord {release}"
html_theme_options = {
    "description": "One change per node at a time, and the truth about how it ended.",
    "page_width": "64rem",
    "fixed_sidebar": True,
}
html_show_sourcelink = False
html_copy_source = False
