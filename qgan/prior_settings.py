"""Settings of every prior. Imports no torch.

A study file's keys under an arm are these fields; the defaults are the paper's.
"""

from dataclasses import dataclass
from math import pi
from typing import Any, ClassVar, Literal, get_args

from qgan.errors import InputError
from qgan.settings import STRICT, TrainSettings, require


@dataclass(frozen=True)
class PriorBase:
    """What the settings of all priors share."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    def require_fit(self, latent_dim: int, train: TrainSettings) -> None:
        """Raises InputError where this prior cannot have so many bits, or needs other networks."""


@dataclass(frozen=True)
class BernoulliSettings(PriorBase):
    """Independent bits: the classical baseline."""

    prior: Literal["bernoulli"] = "bernoulli"
    p: float = 0.5  # probability of a 1

    def __post_init__(self) -> None:
        require(0 < self.p < 1, "p", "above 0 and below 1", self.p)


@dataclass(frozen=True)
class UniformSettings(PriorBase):
    """Continuous codes: numbers uniform in [0, 1], -1 to 1 where the generator reads them."""

    prior: Literal["uniform"] = "uniform"


@dataclass(frozen=True)
class NormalSettings(PriorBase):
    """Continuous codes: standard normal numbers where the generator reads them."""

    prior: Literal["normal"] = "normal"


@dataclass(frozen=True)
class CircuitSettings(PriorBase):
    """The ansatz of a Born machine (Fig. 1)."""

    layers: int = 1  # each layer beyond the first adds one region 2 and one region 3
    # all pairs; distance <= 3 on a line; neighbours; none; or the pairs themselves, [[0, 1], [1, 2]]
    connectivity: Literal["full", "reduced", "line", "none"] | tuple[tuple[int, int], ...] = "full"
    entangler: Literal["rxx", "rzz"] = "rxx"

    def __post_init__(self) -> None:
        require(self.layers >= 1, "layers", "1 or more", self.layers)
        if not isinstance(self.connectivity, str):
            pairs = set(self.connectivity)
            fine = len(pairs) == len(self.connectivity) and all(0 <= i < j for i, j in pairs)
            require(fine, "connectivity", "a list of pairs [i, j] with 0 <= i < j, each once", self.connectivity)

    def require_fit(self, latent_dim: int, train: TrainSettings) -> None:
        if not isinstance(self.connectivity, str):
            fine = all(j < latent_dim for _, j in self.connectivity)
            rule = f"made of qubits 0 to {latent_dim - 1} where latent_dim is {latent_dim}"
            require(fine, "connectivity", rule, self.connectivity)


@dataclass(frozen=True)
class Gains:
    """SPSA's gain sequence in Spall's names: a_k = a / (A + k + 1)^alpha, c_k = c / (k + 1)^gamma, k = 0, 1, ...

    Source: J. C. Spall, IEEE Trans. Aerosp. Electron. Syst. 34 (1998) 817.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    a: float  # first step size where A = 0
    c: float  # first perturbation, radians
    A: float = 0.0  # stability constant, iterations
    alpha: float = 0.602
    gamma: float = 0.101

    def __post_init__(self) -> None:
        require(self.a > 0, "a", "above 0", self.a)
        require(self.c > 0, "c", "above 0", self.c)
        require(self.A >= 0, "A", "0 or more", self.A)
        require(0 < self.alpha <= 1, "alpha", "above 0 and at most 1", self.alpha)
        require(0 < self.gamma <= 1, "gamma", "above 0 and at most 1", self.gamma)


@dataclass(frozen=True)
class TrainedSettings(PriorBase):
    """What every prior has that learns from the critic: when, how often, by which gradient (Eqs. 6 to 8)."""

    optimizer: Literal["gd", "adam", "spsa"] = "gd"  # plain gradient descent (Eq. 7); spsa needs no gradient
    gradient: Literal["exact", "parameter_shift", "finite_difference", "spsa"] = "finite_difference"
    iterations: int = 1  # optimiser steps per update event; with spsa 2 iterations + 1 circuits
    epsilon: float = 0.3  # step of gradient finite_difference (Eq. 8) and spsa, radians for angles
    learning_rate: float = 0.1  # eta of Eq. 7; of gd and adam
    gains: Gains | None = None  # of optimizer spsa; None calibrates them at the first update event
    gains_restart: bool = True  # each update event begins the gain sequence anew
    shots: int = 256  # codes measured per circuit
    entropy_weight: float = 0.0  # the loss less this times the entropy (nats) of the codes; 0 is the paper
    least_perplexity: float = 0.0  # an update event that ends below it warns; 0 never does
    update_every: int = 30  # epochs between update events
    train_epochs: int = 100  # after this epoch the prior is frozen

    def __post_init__(self) -> None:
        require(self.iterations >= 1, "iterations", "1 or more", self.iterations)
        require(0 < self.epsilon < pi, "epsilon", "above 0 and below pi radians", self.epsilon)
        require(self.learning_rate > 0, "learning_rate", "above 0", self.learning_rate)
        require(self.shots >= 2, "shots", "2 or more", self.shots)
        require(self.entropy_weight >= 0, "entropy_weight", "0 or more", self.entropy_weight)
        require(self.least_perplexity >= 0, "least_perplexity", "0 or more", self.least_perplexity)
        require(self.update_every >= 1, "update_every", "1 or more epochs", self.update_every)
        require(self.train_epochs >= 0, "train_epochs", "0 or more epochs", self.train_epochs)
        spsa = self.optimizer == "spsa"
        require(spsa or self.gains is None, "gains", "left out unless optimizer is spsa", self.gains)
        require(spsa or self.gains_restart, "gains_restart", "left out unless optimizer is spsa", self.gains_restart)
        if not isinstance(self, CircuitSettings | QcbmNoEntanglerSettings):
            fine = self.gradient != "parameter_shift"
            require(fine, "gradient", "exact, finite_difference or spsa for a prior without a circuit", self.gradient)

    def due(self, epoch: int) -> bool:
        """Whether an update event follows this epoch (epochs count from 1)."""
        return epoch <= self.train_epochs and epoch % self.update_every == 0


@dataclass(frozen=True)
class BernoulliTrainedSettings(TrainedSettings):
    """Independent bits, each with a logit of its own that learns from the critic."""

    prior: Literal["bernoulli_trained"] = "bernoulli_trained"
    p: float = 0.5  # probability of a 1 before training

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.p < 1, "p", "above 0 and below 1", self.p)


@dataclass(frozen=True)
class RbmSettings(TrainedSettings):
    """A restricted Boltzmann machine."""

    prior: Literal["rbm"] = "rbm"
    hidden: int | None = None  # hidden units; None: as many as the parameters of a full QCBM of one layer allow

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.hidden is None or self.hidden >= 0, "hidden", "0 or more units", self.hidden)


@dataclass(frozen=True)
class MpsSettings(TrainedSettings):
    """A Born machine of real matrix product states."""

    prior: Literal["mps"] = "mps"
    bond: int | None = None  # bond dimension; None: as large as the parameters of a full QCBM of one layer allow

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.bond is None or self.bond >= 1, "bond", "1 or more", self.bond)


@dataclass(frozen=True)
class AutoregressiveSettings(TrainedSettings):
    """A fully visible sigmoid belief net: each bit a logistic regression on the bits before it."""

    prior: Literal["autoregressive"] = "autoregressive"
    reach: int | None = None  # on how many bits before it a bit depends; None: on all

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.reach is None or self.reach >= 0, "reach", "0 or more bits", self.reach)


Backend = Literal[
    "exact", "exact:aria-1", "exact:aria-2", "exact:forte-1",
    "exact:aria-1+spam", "exact:aria-2+spam", "exact:forte-1+spam",
    "aer", "aer:aria-1", "aer:aria-2", "aer:forte-1",
    "aer:aria-1+spam", "aer:aria-2+spam", "aer:forte-1+spam",
]  # fmt: skip
BACKENDS: tuple[str, ...] = get_args(Backend)
Initial = Literal["bernoulli", "small", "uniform", "mps"]


@dataclass(frozen=True)
class TrainedCircuitSettings(TrainedSettings, CircuitSettings):
    """What every prior has that trains the angles of a circuit."""

    initial: Initial = "bernoulli"  # theta_0; mps is fitted to a trained mps at the first update event
    backend: Backend = "exact"  # where the circuits run

    def __post_init__(self) -> None:
        TrainedSettings.__post_init__(self)
        CircuitSettings.__post_init__(self)
        if self.backend != "exact":
            measured = f"for backend {self.backend}, which does not know its probabilities"
            fine = self.gradient != "exact" or self.optimizer == "spsa"
            require(fine, "gradient", f"parameter_shift, finite_difference or spsa {measured}", self.gradient)
            require(self.entropy_weight == 0, "entropy_weight", f"0 {measured}", self.entropy_weight)


@dataclass(frozen=True)
class QcbmSettings(TrainedCircuitSettings):
    """A quantum-circuit Born machine: one qubit per bit of the code (Fig. 1)."""

    prior: Literal["qcbm"] = "qcbm"


@dataclass(frozen=True)
class QcbmFrozenSettings(CircuitSettings):
    """A Born machine that keeps its first theta; it is always computed exactly."""

    prior: Literal["qcbm_frozen"] = "qcbm_frozen"
    initial: Literal["uniform", "bernoulli", "small"] = "uniform"


@dataclass(frozen=True)
class QcbmNoEntanglerSettings(TrainedSettings):
    """A Born machine of single qubits only."""

    prior: Literal["qcbm_no_entangler"] = "qcbm_no_entangler"


@dataclass(frozen=True)
class QcbmMarginalsSettings(TrainedCircuitSettings):
    """Trains as qcbm, but gives codes of independent bits with the circuit's marginals."""

    prior: Literal["qcbm_marginals"] = "qcbm_marginals"


@dataclass(frozen=True)
class QcbmShuffledSettings(TrainedCircuitSettings):
    """A qcbm whose codes are renamed by a fixed random permutation of all 2**n."""

    prior: Literal["qcbm_shuffled"] = "qcbm_shuffled"


@dataclass(frozen=True)
class QcbmAanSettings(TrainedCircuitSettings):
    """A qcbm trained to the critic's latent layer instead of the generator loss; needs train.critic_latent.

    Source: Rudolph et al., Phys. Rev. X 12, 031010 (2022).
    """

    prior: Literal["qcbm_aan"] = "qcbm_aan"
    gradient: Literal["exact", "parameter_shift", "finite_difference", "spsa"] = "exact"
    threshold: float = 0.0  # a latent unit above it is a 1
    least_probability: float = 1e-8  # smaller p_theta(z) are clipped to it in the log likelihood

    def __post_init__(self) -> None:
        super().__post_init__()
        require(True, "threshold", "a number", self.threshold)  # and finite
        require(0 < self.least_probability < 1, "least_probability", "above 0 and below 1", self.least_probability)
        require(self.backend == "exact", "backend", "exact: the log likelihood needs probabilities", self.backend)
        require(
            self.initial != "mps", "initial", "bernoulli, small or uniform: an mps is trained on a score", self.initial
        )

    def require_fit(self, latent_dim: int, train: TrainSettings) -> None:
        super().require_fit(latent_dim, train)
        if not train.critic_latent:
            raise InputError(
                "prior qcbm_aan learns from the critic's latent layer: set train.critic_latent: true, for all arms",
                "prior",
            )


PriorSettings = (
    BernoulliSettings
    | UniformSettings
    | NormalSettings
    | BernoulliTrainedSettings
    | QcbmSettings
    | QcbmFrozenSettings
    | QcbmNoEntanglerSettings
    | QcbmMarginalsSettings
    | QcbmShuffledSettings
    | QcbmAanSettings
    | RbmSettings
    | MpsSettings
    | AutoregressiveSettings
)

# the word after `prior:` in a study file -> its settings
PRIOR_SETTINGS: dict[str, type[PriorSettings]] = {
    each.__dataclass_fields__["prior"].default: each for each in get_args(PriorSettings)
}
