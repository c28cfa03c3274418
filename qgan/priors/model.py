"""Models of codes: exact distributions with parameters theta, and the prior that draws from one standing still."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qgan.circuits import ExactSampler, Sampler
from qgan.circuits.codes import all_bits, cumulative, draw, to_bits
from qgan.errors import InputError

_MOST_BITS = 20  # all codes are enumerated


class Model(ABC):
    """A classical model of codes in the place of a circuit: an exact sampler with `n_parameters` of any meaning.

    Raises InputError for more than 20 bits.
    """

    def __init__(self, n_bits: int, n_parameters: int, stream: torch.Generator) -> None:
        if n_bits > _MOST_BITS:
            raise InputError(
                f"a classical model enumerates all codes: latent_dim must be {_MOST_BITS} or less, not {n_bits}",
                "latent_dim",
            )
        self.n_bits = n_bits
        self.n_parameters = n_parameters
        self.stream = stream
        self.bits = all_bits(n_bits, stream.device).float()  # (2**n, n)

    @abstractmethod
    def probabilities(self, theta: Tensor) -> Tensor:
        """Probabilities (batch, 2**n_bits), differentiable in theta (batch, P)."""

    def initial(self) -> Tensor:
        """Parameters theta (P,) from which training starts: fair bits, nearly."""
        return 0.1 * torch.randn(self.n_parameters, generator=self.stream, device=self.stream.device)

    def sample(self, theta: Tensor, shots: int) -> Tensor:
        """Codes (batch, shots, n_bits) uint8 of the models with parameters theta (batch, P)."""
        with torch.no_grad():
            return to_bits(draw(cumulative(self.probabilities(theta)), shots, self.stream), self.n_bits)


def parameter_budget(n_bits: int) -> int:
    """In how many directions the angles of a full one-layer QCBM (RXX) move p_theta: 90 for 12 bits.

    The closed form of `Ansatz.effective_parameters`, which a control model may not exceed.
    """
    return min(n_bits * (n_bits - 1) // 2 + 2 * n_bits, (1 << n_bits) - 1)


class ModelPrior:
    """Codes from a model whose theta stands still between updates, so its distribution is computed once."""

    def __init__(self, latent_dim: int, model: Sampler, theta: Tensor, stream: torch.Generator) -> None:
        self.latent_dim = latent_dim
        self.model = model
        self.stream = stream
        self.theta = theta

    @property
    def theta(self) -> Tensor:
        """The model's parameters (P,); radians for circuits."""
        return self._theta

    @theta.setter
    def theta(self, theta: Tensor) -> None:
        self._theta = theta
        self._cumulative: Tensor | None = None

    def distribution(self) -> Tensor:
        """Probabilities (2**n,) float64 of the codes that `sample` gives."""
        return self.shown(self.probabilities(self.theta))

    def probabilities(self, theta: Tensor) -> Tensor:
        """The model's own probabilities (2**n,) float64 at theta (P,)."""
        model: ExactSampler = self.model  # type: ignore[assignment]
        with torch.no_grad():
            p = model.probabilities(theta[None])[0].double()
        return p / p.sum()

    def shown(self, p: Tensor) -> Tensor:
        """What becomes of the model's probabilities p (2**n,) before codes are drawn: for control priors to change."""
        return p

    def sample(self, count: int) -> Tensor:
        """Codes (count, latent_dim), float32 on the stream's device."""
        if self._cumulative is None:
            self._cumulative = cumulative(self.distribution()[None])
        return to_bits(draw(self._cumulative, count, self.stream)[0], self.latent_dim).float()

    def state_dict(self) -> dict[str, Any]:
        return {"theta": self.theta.clone(), "stream": self.stream.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.theta = state["theta"].to(self.theta)
        self.stream.set_state(state["stream"].cpu())
