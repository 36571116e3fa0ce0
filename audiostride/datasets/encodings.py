"""The text of a table from its bytes, in an encoding that is known and not guessed."""

import re

LINE_END = re.compile("\r\n|\n|\r")


class EncodingError(ValueError):
    """A table in an encoding that cannot be told, from a line on."""

    def __init__(self, content: bytes, position: int, text: str) -> None:
        super().__init__(f"{text}; save the table in UTF-8")
        self.line = len(LINE_END.findall(content[:position].decode("latin-1"))) + 1


def decode(content: bytes) -> str:
    r"""Give the text of a table: in UTF-8, or in the UTF of its byte-order mark.

    Raises:
        EncodingError: it is another, or damaged.

    >>> decode("ä".encode("utf-16"))
    'ä'
    """
    marks = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    encoding = next((name for mark, name in marks.items() if content.startswith(mark)), "utf-8-sig")
    if encoding == "utf-8-sig" and b"\0" in content:
        raise EncodingError(content, content.index(b"\0"), "holds NUL, as UTF-16 without a byte-order mark does")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        at = error.start if encoding == "utf-8-sig" else 0  # line ends are other bytes elsewhere
        name = encoding.removesuffix("-sig").upper()
        raise EncodingError(
            content, at, f"byte {error.start + 1} is 0x{content[error.start]:02x}, not {name}"
        ) from error
