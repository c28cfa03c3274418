"""The JSON schema of study files, for editors: `study schema > study.schema.json`.

It says what each key means, its type and the allowed words. What a value has to do with another one, only `study plan`
checks.
"""

from typing import Any

from pydantic import TypeAdapter

from qgan.downstream.settings import DownstreamSettings
from qgan.prior_settings import PRIOR_SETTINGS, Gains
from qgan.settings import TrainSettings
from study import sections
from study.fields import fields_of, summary
from study.spec import NEEDED, SECTIONS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema as JSON values."""
    positive = {"type": "integer", "minimum": 1}
    replicates = {"anyOf": [{"type": "integer", "minimum": 1}, _section(sections.Replicates)]}
    properties: dict[str, Any] = {
        "study": {
            "type": "string",
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
            "description": "Name of the study, and of its folder in the results.",
        },
        "data": {
            "if": {"properties": {"source": {"const": "synthetic"}}},
            "then": _section(sections.SyntheticSource),
            "else": _section(sections.FileSource),
        },
        "arms": {
            "description": "One prior of the latent code under each name.",
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_-]*$"},
            "additionalProperties": _arm(replicates),
        },
        "baseline": {"type": "string", "description": "The arm that the others are compared with."},
        "grid": {
            "description": "Every combination is a cell; epochs are horizons. May name any setting of arms or train.",
            "type": "object",
            "properties": {
                "latent_dim": _one_or_list({**positive, "maximum": 26}, "Bits of a code, qubits of a circuit."),
                "images": _one_or_list(positive, "Training images."),
                "epochs": _one_or_list(positive, "Horizons: a longer one continues what is there."),
            },
            "required": ["latent_dim", "images", "epochs"],
        },
        "replicates": {**replicates, "description": "Paired seeds; an arm may have its own."},
        "train": _section(TrainSettings),
        "score": _section(sections.Score),
        "confirm": _section(sections.Confirm),
        "downstream": _section(DownstreamSettings),
        "resources": _section(sections.Resources),
        "budget": _section(sections.Budget),
        "gains": _section(sections.GainsSearch),
        "qpu": _section(sections.QpuRun),
        "results": {"type": "string", "description": "Folder of all studies' results.", "default": "results/"},
    }
    assert tuple(sorted(properties)) == tuple(sorted(SECTIONS))
    return {
        "$schema": _DIALECT,
        "title": "A study file",
        "type": "object",
        "properties": properties,
        "required": list(NEEDED),
        "additionalProperties": False,
    }


def _arm(replicates: dict[str, Any]) -> dict[str, Any]:
    """The prior's own keys follow the word after `prior:`."""
    branches = []
    for name, settings in PRIOR_SETTINGS.items():
        own = _section(settings)
        own["properties"]["replicates"] = replicates
        if "gains" in own["properties"]:
            described = own["properties"]["gains"].get("description", "")
            file = {"type": "string", "description": "A file that `study gains` wrote."}
            own["properties"]["gains"] = {"anyOf": [file, _section(Gains), {"type": "null"}], "description": described}
        own["required"] = ["prior"]
        branches.append({"if": {"properties": {"prior": {"const": name}}, "required": ["prior"]}, "then": own})
    return {
        "type": "object",
        "properties": {"prior": {"enum": list(PRIOR_SETTINGS), "description": "See `study priors`."}},
        "required": ["prior"],
        "allOf": branches,
    }


def _section(settings: type) -> dict[str, Any]:
    """The schema of a settings dataclass, its field comments as descriptions, nested ones in place."""
    found = TypeAdapter(settings).json_schema()
    comments = {each.name: each.comment for each in fields_of(settings)}
    properties = {}
    for name, each in found["properties"].items():
        properties[name] = _inline({key: value for key, value in each.items() if key != "title"})
        if comments.get(name):
            properties[name]["description"] = comments[name]
    return {
        "type": "object",
        "description": summary(settings),
        "properties": properties,
        "required": found.get("required", []),
        "additionalProperties": False,
    }


def _inline(value: Any) -> Any:
    """References to other settings replaced by what they refer to: editors show it in place."""
    if isinstance(value, list):
        return [_inline(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        kind = {each.__name__: each for each in (sections.Range, sections.GainRanges, Gains)}[name]
        return _section(kind)
    return {key: _inline(each) for key, each in value.items()}


def _one_or_list(item: dict[str, Any], description: str) -> dict[str, Any]:
    many = {"type": "array", "items": item, "minItems": 1, "uniqueItems": True}
    return {"anyOf": [item, many], "description": description}
