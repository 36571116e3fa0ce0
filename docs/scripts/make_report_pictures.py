"""Take a picture of a report on a desktop and on a phone."""

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the browser of the tests
from tests.browser import Browser

HEIGHT, GAP = 844, 24
SHOTS = {"summary": 1100, "worst-{task}": 390}  # anchor, and width of the window that shows it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="HTML file of the report")
    parser.add_argument("task")
    parser.add_argument("out", type=Path, help="PNG file to write")
    options = parser.parse_args()
    pictures = []
    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder)) as browser:
        for anchor, width in SHOTS.items():
            browser.open(options.report.absolute().as_uri(), width, HEIGHT)
            browser.evaluate(f"document.getElementById('{anchor.format(task=options.task)}').scrollIntoView()")
            browser.screenshot(Path(folder) / "shot.png")
            pictures.append(Image.open(Path(folder) / "shot.png").convert("RGB"))
    both = Image.new("RGB", (sum(SHOTS.values()) + GAP, HEIGHT), "#d5d9de")
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1], (pictures[0].width + GAP, 0))
    both.quantize(96).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
