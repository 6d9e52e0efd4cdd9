"""Docstrings name things with Sphinx's roles; the site shows the names alone. mkdocs calls this for every page."""

import re
from typing import Any

ROLE = re.compile(r":(?:attr|class|func|meth|mod):(?=<code>)")


def on_page_content(html: str, **_: Any) -> str:
    """Take the roles out of a page."""
    return ROLE.sub("", html)
