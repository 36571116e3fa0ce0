"""When a recording begins, from names as recorders give them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from audiostride.data.dates import recorded_at

AT = datetime(2024, 5, 1, 5, 30)


@pytest.mark.parametrize(
    "name",
    [
        "20240501_053000.WAV",  # AudioMoth
        "20240501_053000T.WAV",  # the same, triggered
        "SITE1_20240501_053000.wav",
        "SM4-A_0+1_20240501_053000_000.wav",
        "20240501T053000.flac",
        "rec-20240501-053000+0200.ogg",
        "20241301_053000_20240501_053000.wav",  # there is no 13th month
        "lat\udce91_20240501_053000.wav",
        "5BB1A7C4_20240501_053000.wav",
    ],
)
def test_a_date_and_time_in_a_name(name: str) -> None:
    assert recorded_at(Path("20200101_000000") / name) == AT


def test_hexadecimal_seconds_of_the_first_audiomoths_are_utc() -> None:
    assert recorded_at(Path("5BB1A7C4.WAV")) == datetime(2018, 10, 1, 4, 51, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "rec.wav",
        "20240501.wav",  # a day; as hexadecimal seconds it would be in 1987
        "20240230_053000.wav",
        "20240501_243000.wav",
        "120240501_053000.wav",
        "20240501_0530001.wav",
        "00010101_000000.wav",
        "00000010.WAV",  # a clock that was not set
        "FFFFFFFF.WAV",
        "5BB1A7C4-1.WAV",
        "5bb1a7c4.wav",  # a checksum rather than a time: recorders write capitals
        "٢٠٢٤٠٥٠١_٠٥٣٠٠٠.wav",
    ],
)
def test_names_without_a_date_and_time(name: str) -> None:
    assert recorded_at(Path(name)) is None
