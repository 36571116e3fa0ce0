"""The file of a request, as its body or as a field of a form, written to disk as it comes up to a limit."""

from collections.abc import Callable
from typing import IO, Protocol

from fastapi import HTTPException, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

FIELD = b"file"
FORM_BYTES = 65536  # what a form may hold beside the file


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


class FormFile:
    """What to write a multipart body to: passes the content of its field `file` on to `file`.

    Args:
        boundary: between the parts.
        file: where the content goes.
    """

    def __init__(self, boundary: bytes, file: IO[bytes]) -> None:
        self._file = file
        self._name, self._value = b"", b""
        self._is_file = False
        self.n_files = 0
        self.ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )
        self.write: Callable[[bytes], int] = self._parser.write

    def _begin(self) -> None:
        self._is_file, self._name, self._value = False, b"", b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition" and parse_options_header(self._value)[1].get(b"name") == FIELD:
            self._is_file = True
            self.n_files += 1
        self._name, self._value = b"", b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file and self.n_files == 1:
            self._file.write(data[start:end])

    def _end(self) -> None:
        self.ended = True


async def save_upload(request: Request, file: IO[bytes], max_bytes: int) -> None:
    """Write the file that a request brings to `file`.

    Args:
        request: whose body is read.
        file: that is open to write.
        max_bytes: of the file.

    Raises:
        HTTPException: 413 for a file that is larger, as soon as that is known; 400 for none, or a broken form.
    """
    declared = request.headers.get("content-length", "")
    try:
        form = _form(request, file)
        _check_size(int(declared) if declared.isdecimal() else 0, 0, max_bytes, is_form=form is not None)
        sink: _Sink = file if form is None else form
        n_received = 0
        async for chunk in request.stream():
            n_received += len(chunk)
            _check_size(n_received, file.tell(), max_bytes, is_form=form is not None)
            sink.write(chunk)
    except FormParserError as error:
        raise HTTPException(400, f"not a multipart form ({error})") from error
    _check_size(0, file.tell(), max_bytes, is_form=form is not None)
    if n_received == 0:
        raise HTTPException(400, "empty body, expected an audio file")
    if form is not None:
        _check_form(form)
    if file.tell() == 0:
        raise HTTPException(400, "empty file (0 bytes)")
    file.flush()


def _form(request: Request, file: IO[bytes]) -> FormFile | None:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        return None
    if not options.get(b"boundary"):
        raise HTTPException(400, "multipart/form-data without a boundary")
    return FormFile(options[b"boundary"], file)


def _check_size(n_received: int, n_file: int, max_bytes: int, *, is_form: bool) -> None:
    if n_received > max_bytes + is_form * FORM_BYTES or n_file > max_bytes:
        raise HTTPException(413, f"larger than the {max_bytes / 1e6:g} MB that the server takes")


def _check_form(form: FormFile) -> None:
    if form.n_files != 1:
        raise HTTPException(400, f"expected one file in the form field 'file', got {form.n_files}")
    if not form.ended:
        raise HTTPException(400, "the multipart form ends before its last boundary")
