"""A picture of a report on a desktop and on a phone: make_report_pictures.py REPORT.html TASK OUT.png"""

import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the browser of the tests
from tests.browser import Browser

HEIGHT, GAP = 844, 24
SHOTS = {"confusion-{task}": 1100, "worst-{task}": 390}  # anchor, and width of the window that shows it


def main() -> None:
    report, task, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    pictures = []
    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder)) as browser:
        for anchor, width in SHOTS.items():
            browser.open(report.absolute().as_uri(), width, HEIGHT)
            browser.evaluate(f"document.getElementById('{anchor.format(task=task)}').scrollIntoView()")
            browser.screenshot(Path(folder) / "shot.png")
            pictures.append(Image.open(Path(folder) / "shot.png").convert("RGB"))
    both = Image.new("RGB", (sum(SHOTS.values()) + GAP, HEIGHT), "#d5d9de")
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1], (pictures[0].width + GAP, 0))
    both.quantize(96).save(out, optimize=True)


if __name__ == "__main__":
    main()
