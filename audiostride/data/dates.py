"""When a recording begins, as far as its name tells."""

import re
from datetime import UTC, datetime
from pathlib import Path

# 20240501_053000, also with T or - between, and with anything but digits around it
DATE_AND_TIME = re.compile(r"(?<![0-9])((?:19|20)[0-9]{6})[_T-]([0-9]{6})(?![0-9])")
HEXADECIMAL = re.compile("[0-9A-F]{8}")
# A hexadecimal name outside of these years is no time of a recorder, or that of one whose clock was not set.
FIRST, END = (datetime(year, 1, 1, tzinfo=UTC) for year in (2015, 2040))


def recorded_at(path: Path) -> datetime | None:
    """Read the date and time at which a recording begins from its name, without folders; None if it holds none.

    Two kinds of names are read: `20240501_053000` anywhere in the name, as AudioMoth and Song Meter write it, local
    time as the recorder had it; and eight hexadecimal digits in capitals, the seconds since 1970 in UTC, as the first
    AudioMoths wrote.

    >>> recorded_at(Path("SITE1_20240501_053000.wav")), recorded_at(Path("5BB1A7C4.WAV"))
    (datetime.datetime(2024, 5, 1, 5, 30), datetime.datetime(2018, 10, 1, 4, 51, 16, tzinfo=datetime.timezone.utc))
    """
    for day, time in DATE_AND_TIME.findall(path.stem):
        try:
            return datetime.strptime(day + time, "%Y%m%d%H%M%S")
        except ValueError:  # such as a 13th month
            continue
    if HEXADECIMAL.fullmatch(path.stem):
        begin = datetime.fromtimestamp(int(path.stem, 16), UTC)
        return begin if FIRST <= begin < END else None
    return None
