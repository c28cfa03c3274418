"""What a settings dataclass says of its fields: name, type, default, and the comment behind it in the source."""

import ast
import dataclasses
import inspect
import io
import textwrap
import tokenize
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Field:
    """One key of a study file."""

    name: str
    kind: str  # as people write it: a word of a list, a number, ...
    default: Any  # dataclasses.MISSING where the key is needed
    comment: str  # '' where the source has none


def fields_of(settings: type) -> tuple[Field, ...]:
    """The fields in the order of the study file, `prior` left out."""
    hints = get_type_hints(settings)
    comments: dict[str, str] = {}
    for base in reversed(settings.__mro__):
        if dataclasses.is_dataclass(base):
            comments.update(_comments(base))
    return tuple(
        Field(each.name, _kind(hints[each.name]), each.default, comments.get(each.name, ""))
        for each in dataclasses.fields(settings)
        if each.name != "prior"
    )


def summary(settings: type) -> str:
    """The first sentence of the class's docstring."""
    return inspect.cleandoc(settings.__doc__ or "").splitlines()[0]


def written(value: Any) -> str:
    """A default as a study file would say it."""
    if value is dataclasses.MISSING:
        return "(needed)"
    if value is None:
        return "(left out)"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _comments(settings: type) -> dict[str, str]:
    """Field -> the comment behind its definition, else the comment lines above it."""
    source = textwrap.dedent(inspect.getsource(settings))
    comments = {
        token.start[0]: (token.string.lstrip("# "), token.line.lstrip().startswith("#"))
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.ClassDef)
    for each in definition.body:
        if not (isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)):
            continue
        behind, _ = comments.get(each.end_lineno or each.lineno, ("", False))
        above: list[str] = []
        line = each.lineno - 1
        while comments.get(line, ("", False))[1]:
            above.insert(0, comments[line][0])
            line -= 1
        found[each.target.id] = behind or " ".join(above)
    return found


def _kind(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " | ".join(map(str, get_args(hint)))
    options = [each for each in get_args(hint) if each is not type(None)]
    if len(options) < len(get_args(hint)) and len(options) == 1:
        return _kind(options[0])
    if options and get_origin(hint) is not tuple:
        return " | ".join(_kind(each) for each in options)
    plain = {int: "whole number", float: "number", bool: "true | false", str: "text"}
    return plain.get(hint, "list of pairs" if get_origin(hint) is tuple else "mapping")
