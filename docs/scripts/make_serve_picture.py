"""Take a picture of the page of a running `audiostride serve`, before and after a clip was sent."""

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the browser of the tests
from tests.browser import Browser

WIDTH, HEIGHT, GAP = 620, 760, 24
IS_SHOWN = "!document.getElementById('result').hidden && !!document.querySelector('#tasks canvas')"


def main() -> None:
    """Take both pictures and put them side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="address of the server, as in http://127.0.0.1:8000")
    parser.add_argument("clip", type=Path)
    parser.add_argument("out", type=Path, help="PNG file to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder)) as browser:
        shot, pictures = Path(folder) / "shot.png", []
        browser.open(options.url, WIDTH, HEIGHT)
        browser.wait_for("!document.getElementById('model').hidden")
        for clip in (None, options.clip):
            if clip is not None:
                browser.set_file("#file", clip)
                browser.wait_for(IS_SHOWN)
            browser.screenshot(shot)
            pictures.append(Image.open(shot).convert("RGB"))
    both = Image.new("RGB", (2 * WIDTH + GAP, HEIGHT), "#d5d9de")
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1], (WIDTH + GAP, 0))
    both.quantize(96).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
