"""The grid of a study file: cells (all but epochs) and horizons (epochs)."""

import dataclasses
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qgan.errors import nearest
from qgan.prior_settings import PriorSettings
from qgan.settings import TrainSettings
from study.document import Document
from study.validation import validate

MOST_CELLS = 10_000


@dataclass(frozen=True)
class Cell:
    """One point of the grid, horizons left out."""

    values: dict[str, Any]  # grid key -> value, as in the study file
    latent_dim: int
    images: int
    train: TrainSettings
    priors: dict[str, PriorSettings]  # arm -> its prior in this cell


def expand(
    document: Document, priors: Mapping[str, PriorSettings], train: TrainSettings
) -> tuple[list[Cell], list[int]]:
    """The cells in the order of the file, the last key changing fastest, and the horizons, ascending.

    `priors` and `train` are the settings outside the grid. Raises InputError where a key or a value has no place in it.
    """
    grid = document.values["grid"]
    if not isinstance(grid, dict):
        raise document.error(("grid",), "needs `latent_dim`, `images` and `epochs`, each a list")
    for key in ("latent_dim", "images", "epochs"):
        if key not in grid:
            raise document.error(("grid",), f"`{key}` is missing; write it as a list, like `{key}: [12]`")
    lists: dict[str, list[Any]] = {}
    for key, value in grid.items():
        lists[key] = value if isinstance(value, list) else [value]
        if not lists[key]:
            raise document.error(("grid", key), "the list is empty")
        if key in ("latent_dim", "images", "epochs"):
            highest = 26 if key == "latent_dim" else 10**9
            for each in lists[key]:
                if not isinstance(each, int) or isinstance(each, bool) or not 1 <= each <= highest:
                    raise document.error(("grid", key), f"{each!r} is not a whole number from 1 to {highest}")
        if len({json.dumps(each, default=str) for each in lists[key]}) < len(lists[key]):
            raise document.error(("grid", key), "a value stands twice")
    horizons = sorted(lists.pop("epochs"))
    targets = {key: _targets(document, key, priors) for key in lists if key not in ("latent_dim", "images")}
    named: dict[str, str] = {}  # setting -> the grid key that names it
    for key, places in targets.items():
        for setting in (f"{place}.{key.rpartition('.')[2]}" for place in places):
            if named.setdefault(setting, key) != key:
                raise document.error(("grid", key), f"`{named[setting]}` names {setting} too; leave one of the two")
    number = math.prod(map(len, lists.values()))
    if number > MOST_CELLS:
        raise document.error(("grid",), f"has {number} cells; at most {MOST_CELLS} are planned at once")
    cells = []
    for combination in itertools.product(*lists.values()):
        values = dict(zip(lists, combination, strict=True))
        settings: dict[str, Any] = {"train": train, **priors}
        for key, places in targets.items():
            for place in places:
                field = key.rpartition(".")[2]
                changed = {**dataclasses.asdict(settings[place]), field: values[key]}
                settings[place] = validate(document, ("grid",), type(settings[place]), changed)
        own_train = settings.pop("train")
        cells.append(Cell(values, values["latent_dim"], values["images"], own_train, settings))
    return cells, horizons


def _targets(document: Document, key: str, priors: Mapping[str, PriorSettings]) -> list[str]:
    """The sections whose field a grid key names: `train`, or arms; `width`, `train.width`, `qcbm.shots`."""
    fields = {
        "train": _field_names(TrainSettings),
        **{name: _field_names(type(prior)) for name, prior in priors.items()},
    }
    section, dot, field = key.rpartition(".")
    if dot and field in fields.get(section, ()):
        return [section]
    owners = [name for name, names in fields.items() if field in names] if not dot else []
    if "train" in owners and len(owners) > 1:
        raise document.error(
            ("grid", key), f"could mean several; write {' or '.join(f'{owner}.{key}' for owner in owners)}"
        )
    if not owners:
        allowed = {"latent_dim", "images", "epochs"}.union(*fields.values()) - {"prior"}
        raise document.error(("grid", key), f"no arm and not `train` has such a setting{nearest(field, allowed)}")
    return owners


def _field_names(settings: type) -> set[str]:
    return {each.name for each in dataclasses.fields(settings) if each.name != "prior"}
