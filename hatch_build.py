"""Give the metadata its links: a package index shows README, where links within the repository lead nowhere."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>(?!https?://|#)[^)]+)\)")


def with_absolute_links(readme: str, url: str) -> str:
    """Put `url` before every link and picture of a README that leads into the repository."""

    def absolute(match: re.Match[str]) -> str:
        kind = "raw" if match["picture"] else "blob"
        return f"{match['picture']}[{match['text']}]({url}/{kind}/main/{match['target']})"

    return LINK.sub(absolute, readme)


class CustomMetadataHook(MetadataHookInterface):
    """Derive README and the project's URLs from the one `url` in `tool.hatch.metadata.hooks.custom`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add `readme` and `urls` to the metadata."""
        url = self.config["url"].rstrip("/")
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": with_absolute_links(readme, url)}
        files = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md"}
        metadata["urls"] = {"Homepage": url} | {name: f"{url}/blob/main/{path}" for name, path in files.items()}
