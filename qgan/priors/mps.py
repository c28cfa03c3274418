"""A Born machine of real matrix product states: what a circuit of little entanglement can be replaced by."""

from itertools import pairwise
from typing import Self

import torch
from torch import Tensor

from qgan.circuits import Sampler
from qgan.prior_settings import MpsSettings
from qgan.priors.model import Model, parameter_budget
from qgan.priors.trained import TrainedPrior
from qgan.seeds import torch_stream
from qgan.trial import Trial


class Mps(Model):
    """p(z) ~ (A_0[z_0] A_1[z_1] ... A_{n-1}[z_{n-1}])**2, each A_q[z] a matrix between neighbouring bonds.

    theta lists A_q (2, bond q, bond q + 1) bit by bit.
    Source: Han et al., Phys. Rev. X 8, 031012 (2018).
    """

    def __init__(self, n_bits: int, bond: int | None, stream: torch.Generator) -> None:
        """bond=None: as large as a full one-layer QCBM's effective parameters allow, 3 for 12 bits."""
        if bond is None:
            budget = parameter_budget(n_bits)
            most = 2 ** (n_bits // 2)  # a larger bond says nothing more
            bond = max(d for d in range(1, most + 1) if free_parameters(n_bits, d) <= budget)
        self.shapes = [(2, left, right) for left, right in pairwise(bonds(n_bits, bond))]
        super().__init__(n_bits, sum(2 * left * right for _, left, right in self.shapes), stream)

    def initial(self) -> Tensor:
        """Fair bits in the first channel of each bond, nearly, and noise that ties them."""
        theta = super().initial()
        sites = theta.split([2 * left * right for _, left, right in self.shapes])
        for site, shape in zip(sites, self.shapes, strict=True):
            site.view(shape)[:, 0, 0] += 0.5**0.5
        return theta

    def probabilities(self, theta: Tensor) -> Tensor:
        """Probabilities (batch, 2**n_bits) of theta (batch, P)."""
        psi = theta.new_ones(len(theta), 1, 1)  # (batch, codes of the bits so far, bond)
        sites = theta.split([2 * left * right for _, left, right in self.shapes], dim=1)
        for site, shape in zip(sites, self.shapes, strict=True):
            psi = torch.einsum("bcl,bzlr->bzcr", psi, site.view(-1, *shape)).flatten(1, 2)
        squares = psi.squeeze(2).square()
        return squares / squares.sum(-1, keepdim=True)


def bonds(n_bits: int, bond: int) -> list[int]:
    """Dimensions of the n + 1 bonds: `bond`, less near the ends, where few bits are on one side."""
    return [min(bond, 2**q, 2 ** (n_bits - q)) for q in range(n_bits + 1)]


def free_parameters(n_bits: int, bond: int) -> int:
    """In how many directions theta moves the state: entries less a change of basis in each bond, less the scale.

    Counted as `Ansatz.effective_parameters` is; 86 for 12 bits and bond 3, whose matrices have 176 entries.
    """
    d = bonds(n_bits, bond)
    return sum(2 * left * right for left, right in pairwise(d)) - sum(each**2 for each in d[1:-1]) - 1


class MpsPrior(TrainedPrior):
    """Codes of a matrix product state trained on the generator loss."""

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        assert isinstance(trial.prior, MpsSettings)
        stream = torch_stream(trial, "prior", device)
        model = Mps(trial.latent_dim, trial.prior.bond, stream)
        return cls(trial, model, model.initial(), stream)
