"""The gradient laboratory: how far each estimate of dL/dtheta is from the exact gradient g, and what it costs.

    python benchmarks/gradients.py [--qubits 8] [--steps 0] [--runs 200] [--figure docs/gradients.svg]

One layer, full connectivity, RXX, single precision; theta as a trial starts with, then `--steps` steps of Eq. 7 by the
exact gradient, eta = 0.1. f = -D(G(z)) of a small untrained generator and critic, scaled to mean 0 and variance 1 over
all codes. Only the angles that change p_theta are compared.

shots   per circuit; `-` reads probabilities instead of codes
bias    how much longer the mean estimate is than g, along g, in percent, with its standard error
noise   standard error of a slope in one estimate, root mean square over the slopes; units of f per radian
cosine  of the angle between one estimate and g, mean over the runs: what a step downhill is worth
codes   measured over all circuits of one estimate
scores  distinct codes whose f was evaluated, mean over the runs
ms      one estimate, its forward passes through generator and critic included, one thread, shortest of 5

SPSA k averages k random directions with c = 0.1; exact with shots is the sampled score function.
"""

import argparse
import os
import platform
import time
from dataclasses import dataclass
from math import pi
from pathlib import Path
from statistics import mean

import pandas as pd
import torch
from torch import Tensor

from analysis.figures import gradients_figure, save
from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import all_bits, to_integers
from qgan.circuits.exact import StateVector
from qgan.gradients import Estimator, Exact, FiniteDifference, ParameterShift, Score, SpsaGradient
from qgan.networks import Critic, Generator

SHOTS = [64, 256, 1024]
EPSILONS = {"0.01": 0.01, "0.1": 0.1, "0.3": 0.3, "0.5": 0.5, "pi/2": pi / 2}  # radians
DIRECTIONS = [1, 8, 32]
C = 0.1  # radians


@dataclass(frozen=True)
class Row:
    """What the runs of one estimator say about it."""

    bias: float
    bias_error: float
    noise: float
    cosine: float
    circuits: int
    shots: int
    scores: float
    ms: float


@dataclass(frozen=True)
class Problem:
    """A sampler at theta, f as networks and as their table, and the exact gradient over the angles that matter."""

    sampler: StateVector
    theta: Tensor  # (P,)
    networks: Score
    table: Score
    heard: list[int]
    g: Tensor  # (heard,) float64

    @classmethod
    def of(cls, n: int, steps: int) -> "Problem":
        torch.manual_seed(1)
        ansatz, stream = Ansatz(n), torch.Generator().manual_seed(1)
        generator, critic = Generator(n, 5, 20, 20, 8), Critic(5, 20, 20, 8)
        codes = all_bits(n, torch.device("cpu")).float()
        with torch.no_grad():
            raw = -critic(generator(2 * codes - 1))
        f = (raw - raw.mean()) / raw.std(correction=0)
        sampler, theta = StateVector(ansatz, stream), ansatz.initial_angles(0.5, stream)

        def networks(codes: Tensor) -> Tensor:
            return (-critic(generator(2 * codes - 1)) - raw.mean()) / raw.std(correction=0)

        def table(codes: Tensor) -> Tensor:
            return f[to_integers(codes)]

        exact = Exact(shots=2**n)
        for _ in range(steps):
            theta = theta - 0.1 * exact(sampler, theta, table).values
        heard = [i for i in range(len(theta)) if i not in ansatz.silent]
        return cls(sampler, theta, networks, table, heard, exact(sampler, theta, table).values[heard].double())

    def measure(self, estimator: Estimator, runs: int) -> Row:
        """Statistics of `runs` estimates by the table, and the time of one by the networks."""
        results = [estimator(self.sampler, self.theta, self.table) for _ in range(runs)]
        values = torch.stack([each.values[self.heard] for each in results]).double()
        lengths = values.norm(dim=1).clamp_min(1e-12)  # codes all equal make a gradient of 0: cosine 0
        along = values @ self.g / (self.g @ self.g) - 1
        seconds = []
        for _ in range(6):  # the first is to warm up
            start = time.perf_counter()
            estimator(self.sampler, self.theta, self.networks)
            seconds.append(time.perf_counter() - start)
        return Row(
            bias=100 * along.mean().item(),
            bias_error=100 * along.std().item() / runs**0.5,
            noise=values.var(0).mean().sqrt().item(),
            cosine=(values @ self.g / (lengths * self.g.norm())).mean().item(),
            circuits=results[0].circuits,
            shots=results[0].shots,
            scores=mean(each.scores for each in results),
            ms=1e3 * min(seconds[1:]),
        )


def estimators(problem: Problem, shots: int | None) -> dict[str, Estimator]:
    """Every estimator by name; without shots, from the probabilities."""
    silent, stream = problem.sampler.ansatz.silent, problem.sampler.stream
    enumerate_up_to = 0 if shots else 2**problem.sampler.ansatz.n_qubits
    return {
        **{f"finite difference {name}": FiniteDifference(e, shots, silent) for name, e in EPSILONS.items()},
        "parameter shift": ParameterShift(shots, silent),
        **{f"SPSA {k}": SpsaGradient(C, shots, stream, k, silent) for k in DIRECTIONS},
        "exact": Exact(shots or 0, enumerate_up_to),
    }


def frame(rows: dict[int | None, dict[str, Row]], g: Tensor) -> pd.DataFrame:
    """The rows as `analysis.figures.gradients_figure` reads them; epsilon in radians."""
    slope = g.square().mean().sqrt().item()
    found = []
    for shots, row_of in rows.items():
        for name, row in row_of.items():
            settled = name.startswith(("finite difference ", "SPSA "))
            estimator, _, setting = name.rpartition(" ") if settled else (name, "", "")
            epsilon = EPSILONS[setting] if estimator == "finite difference" else None
            directions = int(setting) if estimator == "SPSA" else None
            settings = {"estimator": estimator, "epsilon": epsilon, "directions": directions, "shots": shots}
            found.append(settings | {"slope": slope} | vars(row) | {"codes": row.shots, "shots": shots})
    return pd.DataFrame(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, default=8)
    parser.add_argument("--steps", type=int, default=0, help="exact descents before the measurement")
    parser.add_argument("--runs", type=int, default=200, help="estimates per row")
    parser.add_argument("--figure", type=Path, help="file to draw, .svg or .png; its numbers go beside it as .csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # at this size a second thread waits more than it works
    problem = Problem.of(arguments.qubits, arguments.steps)
    p = problem.sampler.probabilities(problem.theta[None])[0].detach().double()
    print(f"python {platform.python_version()}, torch {torch.__version__}, ", end="")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"n = {arguments.qubits}, P = {len(problem.theta)}, {len(problem.heard)} not silent; ", end="")
    print(f"after {arguments.steps} steps; ", end="")
    print(f"perplexity {torch.special.entr(p).sum().exp():.0f} codes, ", end="")
    print(f"L = {Exact(1)(problem.sampler, problem.theta, problem.table).loss:.3f}, ", end="")
    print(f"root mean square slope {problem.g.square().mean().sqrt():.3f}; {arguments.runs} runs\n")
    print(f"{'estimator':24}{'shots':>6}{'bias, %':>16}{'noise':>9}{'cosine':>8}", end="")
    print(f"{'circuits':>10}{'codes':>9}{'scores':>8}{'ms':>8}")
    rows: dict[int | None, dict[str, Row]] = {}
    for shots in (None, *SHOTS):
        rows[shots] = {}
        for name, estimator in estimators(problem, shots).items():
            runs = arguments.runs if shots or name.startswith("SPSA") else 2
            row = rows[shots][name] = problem.measure(estimator, runs)
            print(f"{name:24}{shots or '-':>6}{row.bias:10.1f} ± {row.bias_error:<4.1f}{row.noise:8.3f}", end="")
            print(f"{row.cosine:8.2f}{row.circuits:10}{row.shots:9}{row.scores:8.0f}{row.ms:8.1f}", flush=True)
        print()
    if arguments.figure:
        measured = frame(rows, problem.g)
        for path in (arguments.figure, arguments.figure.with_suffix(".csv")):
            save(gradients_figure(measured), measured, path)


if __name__ == "__main__":
    main()
