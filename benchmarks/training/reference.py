"""A WGAN-GP step as public code writes it: eager float32, torch's modules as they are, double backward.

The same nets as `qgan.networks`: transposed convolutions where we use sub-pixel ones.
"""

import torch
from torch import Tensor, nn


def generator(inputs: int, features: int) -> nn.Module:
    """Codes (k, inputs) in -1 and 1 to images (k, 5, 60, 60)."""
    return nn.Sequential(
        nn.Linear(inputs, 4 * features * 15 * 15),
        nn.Unflatten(1, (4 * features, 15, 15)),
        nn.GroupNorm(1, 4 * features),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * features, 2 * features, 4, 2, 1),
        nn.GroupNorm(1, 2 * features),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * features, 5, 4, 2, 1),
        nn.Sigmoid(),
    )


def critic(features: int) -> nn.Module:
    """Images (k, 5, 60, 60) to (k, 1)."""
    return nn.Sequential(
        nn.Conv2d(5, features, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(features, 2 * features, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * features, 4 * features, 3, 1, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(4 * features * 15 * 15, 1),
    )


class Reference:
    """Both nets and one step of each."""

    def __init__(self, inputs: int, features: int, device: str) -> None:
        self.G, self.D = generator(inputs, features).to(device), critic(features).to(device)
        self.adam_G = torch.optim.Adam(self.G.parameters(), lr=1e-4, betas=(0.0, 0.9))
        self.adam_D = torch.optim.Adam(self.D.parameters(), lr=1e-4, betas=(0.0, 0.9))

    def step(self, real: Tensor, z: Tensor) -> tuple[float, float]:
        """`real` (k, 5, 60, 60) in [0, 1], `z` (k, inputs)."""
        fake = self.G(z)
        alpha = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = (alpha * real + (1 - alpha) * fake).detach().requires_grad_(True)
        judged = self.D(between)
        gradient = torch.autograd.grad(
            judged, between, grad_outputs=torch.ones_like(judged), create_graph=True, retain_graph=True
        )[0]
        penalty = ((gradient.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()
        loss_D = self.D(fake.detach()).mean() - self.D(real).mean() + 10 * penalty
        self.adam_D.zero_grad()
        loss_D.backward()
        self.adam_D.step()
        loss_G = -self.D(self.G(z)).mean()
        self.adam_G.zero_grad()
        loss_G.backward()
        self.adam_G.step()
        return loss_D.item(), loss_G.item()
