"""Damage of every kind, the same for the same seed."""

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

HOSTILE_TEXTS = (
    *(
        "",
        " ",
        "\0",
        "\r",
        "\n",
        "\t",
        "\x1b[31mred\x07",
        "\x9b2J",
        "\u202egnp.exe",
        "=1+1",
        "-1",
        "+1",
        "@x",
        "'",
        '"',
        ",",
    ),
    *(
        "../..",
        "/",
        ".",
        "~",
        "~nobody9/x",
        "$x$",
        "\\",
        "{}",
        "[",
        "[red]",
        "%s%n",
        "nan",
        "inf",
        "1e999",
        "null",
        "鳥",
        "é",
    ),
    *(
        "\ud800",
        "x" * 300,
        "a\nb",
        "a\rb",
        "&amp;<script>",
        "random",
        "yes",
        "2026-01-01",
        "0x10",
        "1_0",
        "!!python/object:x",
    ),
)
HOSTILE_NUMBERS = (0, -1, 1, 2, 3, 7, 2**31, 2**63, -(2**63), 10**30, 0.0, -0.0, 0.5, 1e-300, 1e300, 1.0000001)
HOSTILE_VALUES: tuple[Any, ...] = (
    *HOSTILE_TEXTS,
    *HOSTILE_NUMBERS,
    *(float("nan"), float("inf"), float("-inf"), None, True, False),
    *([], {}, [1, 2], [1.0] * 6, [[]], {"a": 1}, [None], {"": {}}, ["a", "a"], {"label": []}),
)


def hostile_text(rng: Random) -> str:
    """Draw a text that programs stumble over."""
    text = rng.choice(HOSTILE_TEXTS)
    return text if rng.random() < 0.8 else text + chr(rng.randrange(0x20)) + rng.choice(HOSTILE_TEXTS)


def hostile_value(rng: Random) -> Any:
    """Draw a value that JSON or YAML can hold."""
    return copy.deepcopy(rng.choice(HOSTILE_VALUES))


def _nodes(tree: Any) -> list[tuple[Any, Any]]:
    """List every (container, key) of a tree of dictionaries and lists."""
    pairs = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [found for key, value in pairs for found in ((tree, key), *_nodes(value))]


def mutate_tree(rng: Random, tree: Any, n: int | None = None) -> Any:
    """Replace, delete, rename or add `n` values of a tree of dictionaries and lists, by default one to three."""
    tree = copy.deepcopy(tree)
    for _ in range(n or rng.randint(1, 3)):
        nodes = _nodes(tree)
        if not nodes:
            return hostile_value(rng)
        container, key = rng.choice(nodes)
        action = rng.choice(("replace", "replace", "replace", "delete", "add"))
        if action == "replace":
            container[key] = hostile_value(rng)
        elif action == "delete":
            del container[key]
        elif isinstance(container, dict):
            container[rng.choice((str(key).upper(), f"{key} ", hostile_text(rng)))] = hostile_value(rng)
        else:
            container.insert(rng.randint(0, len(container)), hostile_value(rng))
    return tree


def mutate_bytes(rng: Random, content: bytes) -> bytes:
    """Cut, flip, insert, delete, repeat or blank bytes, one to three times."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        if not data:
            return bytes(rng.randbytes(rng.randrange(50)))
        at = rng.randrange(min(len(data), rng.choice((16, 64, 512, len(data)))))  # headers more than the rest
        n = rng.choice((1, 1, 2, 4, 8, 100))
        match rng.choice(("cut", "flip", "insert", "delete", "repeat", "blank", "extreme")):
            case "cut":
                del data[at:]
            case "flip":
                data[at] ^= 1 << rng.randrange(8)
            case "insert":
                data[at:at] = rng.randbytes(n)
            case "delete":
                del data[at : at + n]
            case "repeat":
                data[at:at] = data[at : at + 8 * n]
            case "blank":
                data[at : at + n] = bytes(len(data[at : at + n]))
            case "extreme":
                data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
    return bytes(data)


def mutate_text(rng: Random, text: str, words: Sequence[str] = HOSTILE_TEXTS) -> str:
    """Drop, double, exchange, indent or cut lines, or put one of `words` somewhere, one to three times."""
    for _ in range(rng.randint(1, 3)):
        lines = text.split("\n")
        i, at = rng.randrange(len(lines)), rng.randint(0, len(text))
        match rng.choice(("drop", "double", "exchange", "indent", "cut", "put", "put", "replace")):
            case "drop":
                del lines[i]
            case "double":
                lines.insert(i, lines[i])
            case "exchange":
                k = rng.randrange(len(lines))
                lines[i], lines[k] = lines[k], lines[i]
            case "indent":
                lines[i] = rng.choice((" ", "\t", "- ", "? ", "# ", "&a ", "*a ", "<<: ")) + lines[i]
            case "cut":
                text = text[:at]
                continue
            case "put":
                text = text[:at] + rng.choice(words) + text[at:]
                continue
            case "replace":
                text = text[:at] + rng.choice(words) + text[at + rng.randrange(20) :]
                continue
        text = "\n".join(lines)
    return text


def as_json(value: Any) -> str:
    """Write JSON as other programs do, NaN included."""
    return json.dumps(value)
