"""Names for files and folders from names that may hold anything."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

MAX_BYTES = 150  # of a name, to which others are added; file systems allow 255
# what no file system, or no other program, takes: control characters, separators, halves of surrogates
UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029\ud800-\udfff]')
UNSAFE_ENDS = re.compile(r"^[-.~\s]+|[.\s]+$")
MARKED = re.compile("-[0-9a-f]{12}")


def safe_name(text: str) -> str:
    """Give a name that a file can have: an underscore in place of what cannot stand there, at most `MAX_BYTES`.

    >>> safe_name("../a b"), safe_name("Turdus merula (song)"), safe_name("")
    ('__a b', 'Turdus merula (song)', '_')
    """
    short = UNSAFE.sub("_", text).encode()[:MAX_BYTES].decode(errors="ignore")
    return UNSAFE_ENDS.sub("_", short) or "_"


def distinct_names(texts: Mapping[str, str]) -> dict[str, str]:
    """Give names of files that all differ, also on systems where capitals and accents make no difference.

    Names that would be the same get a mark from their key.

    Args:
        texts: what is to be named, by a key of its own.

    >>> distinct_names({"monday/a": "a", "tuesday/a": "a", "b": "b"})
    {'monday/a': 'a-966bbef72abd', 'tuesday/a': 'a-b7886c3bd3d3', 'b': 'b'}
    """
    names = {key: safe_name(text) for key, text in texts.items()}
    alike = {key: unicodedata.normalize("NFC", name).casefold() for key, name in names.items()}
    counts = Counter(alike.values())
    return {
        key: _marked(name, key) if counts[alike[key]] > 1 or MARKED.fullmatch(name[-13:]) else name
        for key, name in names.items()
    }


def _marked(name: str, key: str) -> str:
    return f"{name}-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
