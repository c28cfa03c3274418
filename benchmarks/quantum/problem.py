"""The problem that all quantum benchmarks share."""

from dataclasses import dataclass

import numpy as np
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.exact import StateVector


@dataclass
class Problem:
    """The gradient of L(theta) = sum_z p_theta(z) f(z) with f known on all codes: one layer, full, RXX, complex64."""

    n: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        stream = torch.Generator(self.device).manual_seed(0)
        self.ansatz = Ansatz(self.n)
        self.theta = self.ansatz.initial_angles(0.5, stream)
        self.f = torch.randn(2**self.n, generator=stream, device=self.device)
        self.sampler = StateVector(self.ansatz, stream)

    def ours(self) -> np.ndarray:
        """dL/dtheta (P,) by one forward and one reverse pass."""
        theta = self.theta.requires_grad_()
        (gradient,) = torch.autograd.grad(self.sampler.probabilities(theta[None])[0] @ self.f, theta)
        return gradient.cpu().numpy()

    def require_equal(self, gradient: np.ndarray, tolerance: float = 1e-5) -> None:
        """Ends the benchmark where a rival's gradient is not ours."""
        apart = float(np.abs(gradient - self.ours()).max())
        if apart > tolerance:
            raise SystemExit(f"the gradients of n = {self.n} differ by {apart:.1e}: nothing to time")
