"""A YAML file that remembers where each key stands, so that an error can name its line."""

import difflib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from qgan.errors import InputError

Where = tuple[str | int, ...]  # a key's path from the top: ("arms", "qcbm", "shots")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of a number (1e-4, and 010 is ten), and no dates."""


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


_NUMBERS = {  # YAML 1.2.2, section 10.3.2; the first that fits counts
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), list("-+.0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


_MOST_VALUES = 100_000
_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}


class Document:
    """The mapping in a YAML file, its text, and the line of every key."""

    def __init__(self, path: Path) -> None:
        """Reads `path`; InputError where it is missing, not YAML, not a mapping or has a key twice."""
        self.path = path
        self.lines: dict[Where, int] = {}
        self._values_read = 0
        self._flattened: set[int] = set()
        try:
            self.text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise InputError(f"{path}: no such file{_did_you_mean_file(path)}") from None
        except IsADirectoryError:
            raise InputError(f"{path}: is a folder; name a study file (*.yaml)") from None
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as text ({_first_line(error)})") from None
        try:
            loader = _Loader(self.text)
            node = loader.get_single_node()
            if not isinstance(node, yaml.MappingNode):
                raise InputError(f"{path}: is not a study file; it should hold keys like `study:` and `arms:`")
            self.values: dict[str, Any] = self._construct(loader, node, ())
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or _first_line(error)
            raise InputError(f"{path}{line}: is not valid YAML ({problem})") from None
        except ValueError as error:  # a number that YAML's pattern takes and Python refuses
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: holds a value that cannot be read ({_first_line(error)})") from None
        except RecursionError:
            raise InputError(f"{path}: is nested too deeply for a study file") from None

    def error(self, where: Where, message: str) -> InputError:
        """An error about one key: file, line, key, message."""
        known = where
        while known and known not in self.lines:
            known = known[:-1]
        line = f":{self.lines[known]}" if known else ""
        key = ".".join(str(part) for part in where)
        return InputError(f"{self.path}{line}: {key}: {message}" if key else f"{self.path}{line}: {message}")

    def located(self, error: InputError, where: Where, key: str | None = None) -> InputError:
        """An error about settings, with file, line and key; `key` is taken where the error names none."""
        named = error.key or key
        return self.error((*where, named) if named else where, str(error).removeprefix(f"{named} "))

    @contextmanager
    def locating(self, *where: str | int, key: str | None = None) -> Iterator[None]:
        """Raises the InputErrors of its block as `located` gives them."""
        try:
            yield
        except InputError as error:
            raise self.located(error, where, key) from None

    def assign(self, dotted: str, value: str) -> None:
        """Replace one existing or new key from the command line: `train.batch_size=16`."""
        *parents, last = dotted.split(".")
        target: Any = self.values
        for parent in parents:
            if not isinstance(target, dict):
                break
            target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise InputError(f"--set {dotted}: there is no such section in {self.path}")
        target[last] = parse_value(value)

    def _construct(self, loader: _Loader, node: yaml.Node, where: Where) -> Any:
        self._values_read += 1
        if self._values_read > _MOST_VALUES:  # anchors of anchors multiply
            raise InputError(f"{self.path}: holds more than {_MOST_VALUES} values, anchors counted wherever they stand")
        if isinstance(node, yaml.MappingNode):
            if id(node) not in self._flattened:  # an alias brings its mapping again, which holds what it took over
                self._flattened.add(id(node))
                self._refuse_duplicates(node, where)
                loader.flatten_mapping(node)  # `<<: *anchor`
            mapping = {}
            for key_node, value_node in node.value:
                key = loader.construct_object(key_node)
                if not isinstance(key, str):
                    raise self.error(where, f"the key {key!r} is not a word")
                self.lines[(*where, key)] = key_node.start_mark.line + 1
                mapping[key] = self._construct(loader, value_node, (*where, key))
            return mapping
        if isinstance(node, yaml.SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                self.lines[(*where, index)] = item.start_mark.line + 1
                items.append(self._construct(loader, item, (*where, index)))
            return items
        if node.tag not in _PLAIN:
            raise self.error(where, f"the tag {node.tag} has no place in a study file")
        value = loader.construct_object(node)
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise self.error(where, "holds half of a character (\\ud800 to \\udfff), which no file system can write")
        return value

    def _refuse_duplicates(self, node: yaml.MappingNode, where: Where) -> None:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            name, line = str(key_node.value), key_node.start_mark.line + 1
            if name in seen:
                self.lines[(*where, name)] = line
                raise self.error((*where, name), f"stands twice, first on line {seen[name]}; remove one")
            seen[name] = line


def parse_value(text: str) -> Any:
    """A value typed on the command line, read as a study file would read it; InputError where it is none."""
    try:
        value = yaml.load(text, _Loader)
        json.dumps(value, allow_nan=True)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise InputError(f"{text}: is not a value such as 16, 1e-4, full or [8, 12]") from None
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        raise InputError(f"{text}: has a key that is not a word")
    return value


def _did_you_mean_file(path: Path) -> str:
    folder = path.parent
    names = [each.name for each in folder.glob("*.y*ml")] if folder.is_dir() else []
    close = difflib.get_close_matches(path.name, names, n=1)
    if close:
        return f"; did you mean {folder / close[0]}?"
    return "; `study init FILE` writes one to start from"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
