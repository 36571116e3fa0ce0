"""YAML with the line of every key, so that an error can point to it."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

Key = tuple[str | int, ...]

N_NODES_MAX = 10_000  # aliases of aliases can stand for billions


# PyYAML's own, and what its constructors raise for `!!bool x` and the like
BAD_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError)


class YamlError(Exception):
    """A text that is no usable YAML; `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but with `1e-4` a number as in YAML 1.2."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def parse_value(text: str) -> Any:
    """Parse one YAML scalar or flow collection, as in `--set key=value`."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506  a SafeLoader
    except BAD_YAML as error:
        raise YamlError(1, f"not a YAML value: {text[:60]!r}") from error


class _Reader:
    def __init__(self, loader: _Loader) -> None:
        self.loader = loader
        self.lines: dict[Key, int] = {}

    def read(self, node: yaml.Node, key: Key) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(key, line)
        if len(self.lines) > N_NODES_MAX:
            raise YamlError(line, f"more than {N_NODES_MAX} keys and values")
        if isinstance(node, yaml.MappingNode):
            mapping: dict[Hashable, Any] = {}
            for key_node, value_node in node.value:
                name = self.loader.construct_object(key_node, deep=True)
                key_line = key_node.start_mark.line + 1
                if not isinstance(name, str):
                    raise YamlError(key_line, f"the key {key_node.value!r} is not text")
                if name in mapping:
                    raise YamlError(key_line, f"the key {name!r} stands twice in one mapping")
                self.lines[(*key, name)] = key_line
                mapping[name] = self.read(value_node, (*key, name))
            return mapping
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*key, i)) for i, item in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)
        except yaml.MarkedYAMLError:
            raise
        except BAD_YAML as error:
            raise YamlError(line, f"not a value of YAML: {str(node.value)[:60]!r}") from error


def _decoded(content: bytes) -> str:
    """Decode UTF-8; YamlError with the line of the first byte that is none."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise YamlError(line, f"not YAML in UTF-8: the byte {content[error.start]:#04x} is none") from error
    if bad := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text[: bad.start()].count("\n") + 1
        raise YamlError(line, f"not YAML: the character {bad[0]!a} must not be in it")
    return text


def read_yaml(path: Path) -> tuple[Any, dict[Key, int]]:
    """Give the content of a YAML file, and the line (from 1) of every key and list item in it.

    Raises:
        YamlError: not YAML, a key twice in one mapping, or too large.
        OSError: the file cannot be read.
    """
    try:
        loader = _Loader(_decoded(path.read_bytes()))
        node = loader.get_single_node()
        if node is None:
            return {}, {(): 1}
        reader = _Reader(loader)
        return reader.read(node, ()), reader.lines
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlError(line, f"not YAML: {error.problem or error.context}") from error
    except RecursionError as error:
        raise YamlError(1, "nested too deeply") from error
    except YamlError:
        raise
    except BAD_YAML as error:
        raise YamlError(1, f"not YAML: {' '.join(str(error).split())}") from error
