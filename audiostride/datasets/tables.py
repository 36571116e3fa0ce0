"""Metadata files of data sets: CSV with known columns, lists, and what is there on disk."""

import csv
from collections.abc import Sequence
from pathlib import Path

from audiostride.errors import UserError


def read_lines(path: Path, data_set: str) -> list[str]:
    """Give the lines of a list that are not blank, without the space around them.

    Raises:
        UserError: no such file, or no text in UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise _absent(path, data_set) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not text in UTF-8 ({error})") from error
    return [line.strip() for line in lines if line.strip()]


def _absent(path: Path, data_set: str) -> UserError:
    return UserError(f"{path}: not found; expected the unpacked {data_set}, with {path.name} in it")


def read_rows(path: Path, columns: Sequence[str], data_set: str, delimiter: str = ",") -> list[dict[str, str]]:
    """Give the rows of a metadata file, which must have `columns`.

    Raises:
        UserError: no such file, no table in UTF-8, or a column or a cell missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            header = list(reader.fieldnames or ())
            if missing := [name for name in columns if name not in header]:
                raise UserError(f"{path}:1: no column {missing[0]!r}, expected those of {data_set}; found {header}")
            rows = []
            for row in reader:
                if any(not row[name] for name in columns):
                    raise UserError(f"{path}:{reader.line_num}: expected a value in each of {', '.join(columns)}")
                rows.append(row)
            return rows
    except FileNotFoundError as error:
        raise _absent(path, data_set) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a table in UTF-8 ({error})") from error
