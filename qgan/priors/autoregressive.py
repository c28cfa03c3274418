"""A fully visible sigmoid belief net: each bit is a logistic regression on the bits before it."""

from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from qgan.circuits import Sampler
from qgan.prior_settings import AutoregressiveSettings
from qgan.priors.model import Model
from qgan.priors.trained import TrainedPrior
from qgan.seeds import torch_stream
from qgan.trial import Trial


class BeliefNet(Model):
    """p(z) = prod_q sigmoid(+-(b_q + sum_j w_qj z_j)) over bits j before q, no farther than `reach`.

    theta: b (n,) | w of the pairs (q, j), row by row; 78 for 12 bits, always fewer than a full QCBM's effective ones.
    Source: R. M. Neal, Artif. Intell. 56 (1992) 71; fully visible after Frey et al., NIPS 1995.
    """

    def __init__(self, n_bits: int, reach: int | None, stream: torch.Generator) -> None:
        reach = n_bits if reach is None else reach
        pairs = [(q, j) for q in range(n_bits) for j in range(max(0, q - reach), q)]
        self.where = torch.tensor(pairs, dtype=torch.long, device=stream.device).view(-1, 2)
        super().__init__(n_bits, n_bits + len(self.where), stream)

    def probabilities(self, theta: Tensor) -> Tensor:
        """Probabilities (batch, 2**n_bits) of theta (batch, P)."""
        b, w = theta.split([self.n_bits, len(self.where)], dim=1)
        weights = theta.new_zeros(len(theta), self.n_bits, self.n_bits)
        weights[:, self.where[:, 0], self.where[:, 1]] = w
        logits = self.bits @ weights.mT + b.unsqueeze(1)
        return logsigmoid((2 * self.bits - 1) * logits).sum(-1).exp()


class AutoregressivePrior(TrainedPrior):
    """Codes of a sigmoid belief net trained on the generator loss."""

    @classmethod
    def from_trial(cls, trial: Trial, device: torch.device | str, sampler: Sampler | None = None) -> Self:
        assert isinstance(trial.prior, AutoregressiveSettings)
        stream = torch_stream(trial, "prior", device)
        model = BeliefNet(trial.latent_dim, trial.prior.reach, stream)
        return cls(trial, model, model.initial(), stream)
