"""Does a circuit learn better from angles fitted to a trained matrix product state (`initial: mps`)?

    python benchmarks/pretraining.py [--seeds 16] [--qubits 6,7,8]

Each seed draws a random judgement f of all codes (normal, standard deviation 1), which stays fixed, and all initial
parameters. Three starts take the same steps of plain gradient descent, exact slopes, eta = 0.1:

default    `initial: bernoulli`
mps        `initial: mps`
classical  the same 200 steps of Adam that fit the circuit to the state, spent on the circuit's own free energy:
           what the simulator that pre-training needs anyway can do without a tensor network

Printed: loss L(theta) (and perplexity) after k steps, means over seeds, and the difference of mps to each rival with
its 95 % t interval over seeds.
"""

import argparse

import torch
from scipy.stats import t

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import to_integers
from qgan.circuits.exact import StateVector
from qgan.gradients import Exact
from qgan.priors.pretraining import descended, free_energy, pretrained

RATE = 0.1
STEPS = [0, 3, 10, 50]


def runs(n: int, seed: int) -> dict[str, list[tuple[float, float]]]:
    """Loss and perplexity after each of STEPS, from each start."""
    ansatz, stream = Ansatz(n), torch.Generator().manual_seed(seed)
    f = torch.randn(2**n, generator=stream)
    circuit = StateVector(ansatz, stream)
    default = ansatz.initial_angles(0.5, stream)

    def score(codes: torch.Tensor) -> torch.Tensor:
        return f[to_integers(codes)]

    starts = {
        "default": default,
        "mps": pretrained(ansatz, default, score, stream),
        "classical": descended(default, lambda each: free_energy(circuit.probabilities(each[None])[0], f)),
    }
    found: dict[str, list[tuple[float, float]]] = {}
    for name, theta in starts.items():
        found[name] = []
        for step in range(STEPS[-1] + 1):
            if step in STEPS:
                with torch.no_grad():
                    p = circuit.probabilities(theta[None])[0]
                found[name].append((float(p @ f), float(torch.special.entr(p).sum().exp())))
            theta = theta - RATE * Exact(2)(circuit, theta, score).values
    return found


def interval(values: torch.Tensor) -> str:
    half = t.ppf(0.975, len(values) - 1) * float(values.std()) / len(values) ** 0.5
    return f"{float(values.mean()):+6.2f} +- {half:4.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--qubits", default="6,7,8")
    arguments = parser.parse_args()
    print("| n | steps | default | mps | classical | mps - default | mps - classical |")
    print("|---|---|---|---|---|---|---|")
    for n in map(int, arguments.qubits.split(",")):
        found = [runs(n, seed) for seed in range(arguments.seeds)]
        for i, k in enumerate(STEPS):
            losses = {name: torch.tensor([each[name][i] for each in found]) for name in found[0]}
            cells = [f"{values[:, 0].mean():+.2f} ({values[:, 1].mean():.0f})" for values in losses.values()]
            differences = [interval(losses["mps"][:, 0] - losses[name][:, 0]) for name in ("default", "classical")]
            print("|", " | ".join([str(n), str(k), *cells, *differences]), "|", flush=True)


if __name__ == "__main__":
    main()
