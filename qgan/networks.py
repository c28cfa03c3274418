"""Generator and critic: convolutions from a code to a five-channel patch, and from a patch to a number.

Neither net normalises over a batch: the score f(z) = -D(G(z)) must be a function of one code alone.
"""

import math

import torch
from torch import Tensor, nn


def _groups(channels: int) -> int:
    """Groups for group norm: as near to 8 as divides the channels."""
    return max(g for g in range(1, 9) if channels % g == 0)


class Generator(nn.Module):
    """G: codes (k, latent_dim) to images (k, channels, height, width) in [0, 1].

    Any height and width: maps of a quarter and a half of the size (rounded up) are doubled and cropped,
    15 -> 30 -> 60 for the paper's patches.
    """

    def __init__(self, latent_dim: int, channels: int, height: int, width: int, features: int) -> None:
        super().__init__()
        self.sizes = [(math.ceil(height / s), math.ceil(width / s)) for s in (4, 2, 1)]
        self.code = nn.Linear(latent_dim, 4 * features * math.prod(self.sizes[0]))
        self.features = features
        self.norm0 = nn.GroupNorm(_groups(4 * features), 4 * features)
        self.up1 = nn.ConvTranspose2d(4 * features, 2 * features, kernel_size=4, stride=2, padding=1)
        self.norm1 = nn.GroupNorm(_groups(2 * features), 2 * features)
        self.up2 = nn.ConvTranspose2d(2 * features, features, kernel_size=4, stride=2, padding=1)
        self.norm2 = nn.GroupNorm(_groups(features), features)
        self.image = nn.Conv2d(features, channels, kernel_size=3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.code(2 * codes - 1).view(-1, 4 * self.features, *self.sizes[0])  # bits to -1, +1
        x = torch.relu(self.norm0(x))
        x = torch.relu(self.norm1(_crop(self.up1(x), self.sizes[1])))
        x = torch.relu(self.norm2(_crop(self.up2(x), self.sizes[2])))
        return torch.sigmoid(self.image(x))


class Critic(nn.Module):
    """D: images (k, channels, height, width) in [0, 1] to numbers (k,), unbounded.

    With `latent` units, a layer of so many stands before the last one: the critic's own code of an image.
    """

    def __init__(self, channels: int, height: int, width: int, features: int, latent: int | None = None) -> None:
        super().__init__()
        flat = 4 * features * (height // 2 // 2) * (width // 2 // 2)
        head = (
            [nn.Linear(flat, 1)]
            if latent is None
            else [nn.Linear(flat, latent), nn.LeakyReLU(0.2), nn.Linear(latent, 1)]
        )
        self.layers = nn.Sequential(
            nn.Conv2d(channels, features, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(features, 2 * features, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * features, 4 * features, kernel_size=3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            *head,
        )
        self.has_latent = latent is not None

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(2 * images - 1).squeeze(1)  # type: ignore[no-any-return]

    def latent(self, images: Tensor) -> Tensor:
        """The latent layer (k, latent) of images, before its nonlinearity."""
        assert self.has_latent
        return self.layers[:-2](2 * images - 1)  # type: ignore[no-any-return]


def _crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x[..., : size[0], : size[1]]
