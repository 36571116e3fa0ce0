"""Fail the build where a page would load something from another machine."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

ELSEWHERE = r"""[^>]*\s(?:src|href)=["']?(?:https?:)?//"""
LOADS = re.compile(rf"<(?:script|img|iframe|source|audio|video|link(?![^>]*canonical)){ELSEWHERE}")


def on_post_build(config: MkDocsConfig) -> None:
    """Look through every page that was written."""
    pages = sorted(Path(config.site_dir).rglob("*.html"))
    if found := [page.name for page in pages if LOADS.search(page.read_text(encoding="utf-8"))]:
        raise PluginError(f"these pages load something from elsewhere: {', '.join(found)}")
