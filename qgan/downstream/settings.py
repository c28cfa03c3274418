"""Settings of the downstream test. Imports no torch."""

from dataclasses import dataclass
from typing import Any, ClassVar

from qgan.settings import STRICT, require


@dataclass(frozen=True)
class DownstreamSettings:
    """What is trained on how many patches. It is tested on the maps that the trials of the generators hold out."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    k: tuple[int, ...] = (5, 20, 80)  # real training patches per microstructure
    synthetic: int = 500  # generated images per microstructure
    seeds: int = 5  # draws of patches, images and initial weights for every k
    hidden: tuple[
        str, ...
    ] = ()  # channels no classifier sees; with ks_deviation alone, synthetic patches are no trivial task
    steps: int = 300  # Adam steps of every classifier, whatever it is trained on
    batch_size: int = 32  # images per step; half of them generated where both kinds are there
    learning_rate: float = 1e-2
    width: int = 8  # channels of the convnet's first feature map
    quantum: bool = False  # also the quantum classifier, and the classical one with as many parameters
    qubits: int = 6
    layers: int = 1  # of the ansatz
    pooling: int = 4  # these two read pooling x pooling means of every channel

    def __post_init__(self) -> None:
        counts = bool(self.k) and min(self.k) >= 1 and len(set(self.k)) == len(self.k)
        require(counts, "k", "different whole numbers, 1 or more patches", self.k)
        require(self.synthetic >= 1, "synthetic", "1 or more images", self.synthetic)
        require(self.seeds >= 1, "seeds", "1 or more", self.seeds)
        require(self.steps >= 1, "steps", "1 or more", self.steps)
        even = self.batch_size >= 2 and self.batch_size % 2 == 0
        require(even, "batch_size", "an even number of images, 2 or more", self.batch_size)
        require(0 < self.learning_rate < 1, "learning_rate", "above 0 and below 1", self.learning_rate)
        require(1 <= self.width <= 1024, "width", "from 1 to 1024 channels", self.width)
        require(1 <= self.qubits <= 10, "qubits", "from 1 to 10", self.qubits)
        require(self.layers >= 1, "layers", "1 or more", self.layers)
        require(1 <= self.pooling <= 16, "pooling", "from 1 to 16", self.pooling)
