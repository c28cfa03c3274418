"""The commented study file that `study init` writes."""

import json
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from qgan.errors import InputError
from qgan.files import whole_file
from qgan.settings import TrainSettings
from study.fields import fields_of, written
from study.sections import Score

_SYNTHETIC = {
    "data": "{source: synthetic, microstructure: bainite, count: 2000, patch: 60, evaluation: 600, seed: 0}",
    "images": "256, 1000",
    "batch_size": "64",
    "scored": "300",
}


def write(path: Path, patches: Path | None) -> None:
    """Write a study of a synthetic set, or of the Parquet file `patches` with numbers that fit it."""
    if path.exists():
        raise InputError(f"{path}: exists already; choose another name or remove it")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") or "study"
    values = {
        "study": name,
        "train": _further(TrainSettings, {"batch_size", "learning_rate", "width"}),
        "score": _further(Score, {"images", "window"}),
        **(_SYNTHETIC if patches is None else _fitting(patches)),
    }
    template = Template(files("search_spaces").joinpath("template.txt").read_text())
    with whole_file(path) as temporary:
        temporary.write_text(template.substitute(values))


def _further(settings: type, written_above: set[str]) -> str:
    """The other settings of a section as comments: default and meaning."""
    lines = []
    for each in fields_of(settings):
        if each.name not in written_above:
            lines.append(f"#   {f'{each.name}: {written(each.default)}':34}# {each.comment}".rstrip("# "))
    return "\n".join(lines)


def _fitting(patches: Path) -> dict[str, str]:
    """Numbers for a file of patches: about a quarter for evaluation, the rest for training."""
    from qgan.ebsd.dataset import read_index, split

    index = read_index(patches)
    labels = index.footer.microstructures
    label = max(labels, key=lambda name: labels[name]) if labels else None
    count = labels[label] if label else index.footer.count
    evaluation = max(4, count // 4)
    training, _ = split(index, evaluation, label)
    most = 2 ** (len(training).bit_length() - 1)  # the largest power of two in the training pool
    return {
        "data": f"{{source: {json.dumps(str(patches))}, evaluation: {evaluation}"
        + (f", microstructure: {json.dumps(label)}}}" if label else "}"),
        "images": ", ".join(str(n) for n in sorted({max(2, most // 4), most})),
        "batch_size": str(min(64, max(2, most // 4))),
        "scored": str(evaluation // 2),
    }
