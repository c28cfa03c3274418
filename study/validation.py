"""Mappings of a study file into settings dataclasses, errors into sentences with a line."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from qgan.errors import InputError, nearest
from study.document import Document, Where

T = TypeVar("T")


@cache
def _adapter(settings: Any) -> TypeAdapter[Any]:
    return TypeAdapter(settings)


def validate(document: Document, where: Where, settings: type[T], values: Mapping[str, Any]) -> T:
    """A settings dataclass from a mapping; the first error as a sentence with its line."""
    try:
        # JSON mode: strict about types, yet takes a mapping for a dataclass
        validated: T = _adapter(settings).validate_json(json.dumps(values))  # type: ignore[arg-type]
        return validated
    except ValidationError as error:
        first = error.errors()[0]
        # pydantic adds the branch of a union to the place: ("connectivity", "literal['full',...]")
        place = [part for part in first["loc"] if isinstance(part, int) or part.isidentifier()]
        here = (*where, *place)
        cause = first.get("ctx", {}).get("error")
        if first["type"] == "unexpected_keyword_argument":
            key, allowed = str(first["loc"][-1]), _fields_at(settings, place[:-1])
            raise document.error(here, f"unknown key{nearest(key, allowed)}; allowed: {', '.join(allowed)}") from None
        if isinstance(cause, InputError):
            raise document.located(cause, here) from None
        given = first.get("input")
        if first["type"] == "missing":
            raise document.error(here, "is missing") from None
        raise document.error(here, f"{first['msg'].removeprefix('Input ')}, not {given!r}") from None


def _fields_at(settings: type, place: Sequence[str | int]) -> list[str]:
    """The fields of the settings that lie at a place inside these."""
    for name in place:
        hint = get_type_hints(settings).get(str(name))
        nested = [each for each in (hint, *get_args(hint)) if isinstance(each, type) and dataclasses.is_dataclass(each)]
        settings = nested[0] if nested else settings
    return [each.name for each in dataclasses.fields(settings)]
