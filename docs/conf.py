"""How Sphinx makes the site of the documents (`make docs`).

The source folder is the repository itself, so the README, the pages in docs/ and the READMEs of the parts are one site,
and a link between two of them is the same relative path on a code host and in the site.
"""

project = "Coursera Connect"
project_copyright = "the contributors to Coursera Connect"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "*.md",
    "docs/*.md",
    "tap-coursera/README.md",
    "plugins/*/README.md",
]
# Folders that hold no page; Sphinx would walk through them all the same.
exclude_patterns = [".*", "build", "output", "environments", "tests", "transform", "orchestrate", "scripts", "**/build"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

smartquotes = False
highlight_language = "none"

html_theme = "furo"
html_title = "Coursera Connect"
html_extra_path = ["site"]
html_copy_source = False
html_show_sphinx = False
