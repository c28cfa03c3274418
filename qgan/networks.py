"""Generator and critic: convolutions from a code to a five-channel patch, and from a patch to a number.

Neither net normalises over a batch: the score f(z) = -D(G(z)) must be a function of one code alone. Maps lie in memory
with their channels last, which convolutions prefer on every machine.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from qgan.circuits.ansatz import Ansatz
from qgan.quantum_layer import QuantumLayer

SLOPE = 0.2  # of the critic's leaky ReLU below zero


class Upsample(nn.Module):
    """Twice the size: a transposed convolution of kernel 4 and stride 2, as a convolution at the smaller size.

    Each of the four pixels that a pixel becomes has its own 2 x 2 kernel. At the start they are those of
    nearest-neighbour upsampling followed by a 3 x 3 convolution, so that no checkerboard is built in.
    Source: Shi et al., arXiv 1609.05158 (sub-pixel convolution); Odena et al., Distill 1 (2016) e3 (checkerboards).
    """

    def __init__(self, channels_in: int, channels_out: int, size: tuple[int, int]) -> None:
        """`size` is the (height, width) of the output: twice the input's, or one less."""
        super().__init__()
        self.size = size
        self.phases = nn.Conv2d(channels_in, 4 * channels_out, kernel_size=2, padding=1)
        plain = nn.Conv2d(channels_in, channels_out, kernel_size=3)
        # fold[phase, tap, u]: which of the three taps meet the same pixel of the smaller map
        fold = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]])
        with torch.no_grad():
            kernels = torch.einsum("apu,bqv,oiuv->oabipq", fold, fold, plain.weight)
            self.phases.weight.copy_(kernels.reshape(self.phases.weight.shape))
            self.phases.bias.copy_(plain.bias.repeat_interleave(4))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Maps (k, channels_in, height, width) to (k, channels_out, *size)."""
        height, width = self.size
        return functional.pixel_shuffle(self.phases(x), 2)[..., 1 : height + 1, 1 : width + 1]


class _Norm(nn.GroupNorm):
    """Layer normalisation of each image by itself, then ReLU; the same scale for all pixels of a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(super().forward(x.contiguous(memory_format=torch.channels_last)), inplace=True)


class Generator(nn.Module):
    """G: inputs (k, inputs) to images (k, channels, height, width) in [0, 1].

    Any height and width: maps of a quarter and a half of the size (rounded up) are doubled, 15 -> 30 -> 60 for the
    paper's patches. `depth` is the number of convolutions at each of the two smaller sizes, the first of which
    makes the map.
    """

    def __init__(self, inputs: int, channels: int, height: int, width: int, features: int, depth: int = 1) -> None:
        super().__init__()
        quarter, half, whole = ((math.ceil(height / s), math.ceil(width / s)) for s in (4, 2, 1))
        self.quarter = quarter
        self.code = nn.Linear(inputs, 4 * features * math.prod(quarter))
        self.maps = nn.Sequential(
            _Norm(4 * features),
            *_more(4 * features, depth),
            Upsample(4 * features, 2 * features, half),
            _Norm(2 * features),
            *_more(2 * features, depth),
            Upsample(2 * features, channels, whole),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.code(inputs).view(len(inputs), *self.quarter, -1).permute(0, 3, 1, 2)
        return torch.sigmoid(self.maps(x).to(self.code.weight))


def _more(features: int, depth: int) -> list[nn.Module]:
    return [layer for _ in range(depth - 1) for layer in (nn.Conv2d(features, features, 3, padding=1), _Norm(features))]


class Critic(nn.Module):
    """D: images (k, channels, height, width) in [0, 1] to numbers (k,), unbounded.

    With `classes`, a label moves the first feature maps. With `latent` units, a layer of so many stands before the
    last one: the critic's own code of an image. `depth` is the number of convolutions at each of the two sizes.
    Affine layers with leaky ReLU between them: a piecewise linear function of the image, see `tangent`; unless the
    last layer is a circuit of `qubits` qubits, which also bounds the number.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        features: int,
        depth: int = 1,
        latent: int | None = None,
        classes: int = 0,
        qubits: int = 0,
    ) -> None:
        super().__init__()
        flat = 4 * features * (height // 2 // 2) * (width // 2 // 2)

        def more(features: int) -> list[nn.Module]:
            return [nn.Conv2d(features, features, 3, padding=1) for _ in range(depth - 1)]

        self.hidden = nn.ModuleList(
            [
                nn.Conv2d(channels, features, kernel_size=4, stride=2, padding=1),
                *more(features),
                nn.Conv2d(features, 2 * features, kernel_size=4, stride=2, padding=1),
                *more(2 * features),
                nn.Conv2d(2 * features, 4 * features, kernel_size=3, padding=1),
                *([] if latent is None else [nn.Linear(flat, latent)]),
            ]
        )
        self.last = QuantumLayer(latent or flat, Ansatz(qubits)) if qubits else nn.Linear(latent or flat, 1)
        self.label = nn.Embedding(classes, features) if classes else None
        self.has_latent = latent is not None
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.judged(images, labels)[0]

    def judged(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """Numbers (k,) of the images, and what each hidden layer put out, for `tangent`."""
        x, activations = images, []
        for layer in self.hidden:
            x = functional.leaky_relu(self._affine(layer, x, labels), SLOPE, inplace=True)
            activations.append(x.detach())
        with torch.autocast(x.device.type, enabled=False):  # the losses are small differences of these numbers
            return self.last(_flat(x).to(next(self.parameters()))).squeeze(1), activations

    @property
    def piecewise_linear(self) -> bool:
        """Whether `tangent` is there."""
        return isinstance(self.last, nn.Linear)

    def tangent(self, direction: Tensor, activations: list[Tensor]) -> Tensor:
        """Derivative (k,) of D along `direction`, shaped as the images that gave the activations.

        The critic is linear between its kinks: its derivative is the same net without biases and with the slopes
        that the images chose. Exact wherever the derivative exists; differentiable in the weights.
        """
        x = direction
        for layer, activation in zip(self.hidden, activations, strict=True):
            weight: Tensor = layer.weight  # type: ignore[assignment]
            if isinstance(layer, nn.Conv2d):
                x = functional.conv2d(x, weight, None, layer.stride, layer.padding)
            else:
                x = functional.linear(_flat(x), weight)
            x = torch.ops.aten.leaky_relu_backward(x, activation, SLOPE, True)
        assert isinstance(self.last, nn.Linear)
        with torch.autocast(x.device.type, enabled=False):
            return functional.linear(_flat(x).to(self.last.weight), self.last.weight).squeeze(1)

    def latent(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The latent layer (k, latent) of images, before its nonlinearity."""
        assert self.has_latent
        x = images
        for layer in self.hidden[:-1]:
            x = functional.leaky_relu(self._affine(layer, x, labels), SLOPE, inplace=True)
        return self._affine(self.hidden[-1], x, labels)

    def _affine(self, layer: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
        y: Tensor = layer(_flat(x) if isinstance(layer, nn.Linear) else x)
        if layer is self.hidden[0] and self.label is not None:
            y = y + self.label(labels)[..., None, None]
        return y


def _flat(x: Tensor) -> Tensor:
    """Maps (k, channels, height, width) as (k, everything) without moving memory."""
    return x.permute(0, 2, 3, 1).flatten(1) if x.dim() == 4 else x
