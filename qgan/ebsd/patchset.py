"""Patches as a value: what is known of each, the footer, and the content hash."""

import dataclasses
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from qgan.ebsd.channels import CHANNELS, Channel

SCHEMA = 1


@dataclass(frozen=True)
class Footer:
    """What a file says about its patches."""

    schema: int
    height: int
    width: int
    step_um: float  # median over the patches
    channels: tuple[Channel, ...]
    count: int
    microstructures: dict[str, int]  # label -> patches; patches without a label are in none
    content_hash: str  # 16 hex digits over images, labels and map ids
    recipe: str | None  # of synthetic patches
    settings: dict[str, Any]  # every parameter from scan to patches
    cleaning: tuple[dict[str, Any], ...]  # one record per map, by map id
    versions: dict[str, str]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of all images: (count, channels, height, width)."""
        return self.count, len(self.channels), self.height, self.width

    def to_json(self) -> str:
        """The footer as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> "Footer":
        """The footer in a JSON text; KeyError, TypeError or ValueError where it is not one."""
        values = json.loads(text)
        values["channels"] = tuple(Channel(**channel) for channel in values["channels"])
        values["cleaning"] = tuple(values["cleaning"])
        return cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})


@dataclass(frozen=True, eq=False)
class PatchIndex:
    """All that is known of the patches but their pixels; every column is (count,)."""

    footer: Footer
    microstructure: NDArray[np.object_]  # label, or None
    source: NDArray[np.object_]
    map_id: NDArray[np.int32]
    grain_id: NDArray[np.int32]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    step_um: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.map_id)


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches with their pixels."""

    index: PatchIndex
    images: NDArray[np.uint8]  # (count, 5, H, W), read-only

    def __len__(self) -> int:
        return len(self.images)

    @property
    def footer(self) -> Footer:
        """What the file says about its patches."""
        return self.index.footer


def assemble(
    images: NDArray[np.uint8],
    columns: dict[str, Any],
    *,
    settings: dict[str, Any],
    cleaning: tuple[dict[str, Any], ...],
    recipe: str | None = None,
) -> Patches:
    """Patches from pixels (count, 5, H, W) and one sequence per column of the file, footer and hash included."""
    images = np.ascontiguousarray(images)
    images.setflags(write=False)
    labels = np.array(columns["microstructure"], object)
    step_um = np.asarray(columns["step_um"], np.float64)
    map_id = np.asarray(columns["map_id"], np.int32)
    footer = Footer(
        schema=SCHEMA,
        height=images.shape[2],
        width=images.shape[3],
        step_um=float(np.median(step_um)) if len(step_um) else 0.0,
        channels=CHANNELS,
        count=len(images),
        microstructures=dict(sorted(Counter(label for label in labels if label is not None).items())),
        content_hash=_content_hash(images, labels, map_id),
        recipe=recipe,
        settings=settings,
        cleaning=cleaning,
        versions=_versions(),
    )
    index = PatchIndex(
        footer=footer,
        microstructure=labels,
        source=np.array(columns["source"], object),
        map_id=map_id,
        grain_id=np.asarray(columns["grain_id"], np.int32),
        row=np.asarray(columns["row"], np.int32),
        column=np.asarray(columns["column"], np.int32),
        step_um=step_um,
    )
    return Patches(index, images)


def _content_hash(images: NDArray[np.uint8], labels: NDArray[np.object_], map_id: NDArray[np.int32]) -> str:
    digest = hashlib.sha256(json.dumps([images.shape, labels.tolist(), map_id.tolist()]).encode())
    digest.update(images.data)
    return digest.hexdigest()[:16]


def _versions() -> dict[str, str]:
    try:
        ours = version("steel-qgan-study")
    except PackageNotFoundError:  # a bare checkout on the path
        ours = "unknown"
    return {"steel-qgan-study": ours, "numpy": np.__version__, "pyarrow": pa.__version__}
