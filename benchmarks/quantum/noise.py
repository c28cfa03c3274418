"""One noisy circuit of 12 qubits, one layer, full, with IonQ's Aria 2 noise: our sampler against Aer's."""

from functools import partial

from benchmarks.clock import shown, timed
from benchmarks.quantum.problem import Problem
from qgan.circuits.backends import make_sampler


def report(repeats: int, n: int = 12) -> None:
    """Prints both at two numbers of shots."""
    problem = Problem(n)
    theta = problem.theta.detach()[None]
    samplers = {
        name: make_sampler(f"{name}:aria-2", problem.ansatz, problem.sampler.stream) for name in ("exact", "aer")
    }
    print(f"| shots at n = {n} | exact:aria-2, ms | aer:aria-2, ms | ours is faster by |\n|---|---|---|---|")
    for shots in (256, 1000):
        times = timed({name: partial(each.sample, theta, shots) for name, each in samplers.items()}, repeats)
        ratio = f"{times['aer'][0] / times['exact'][0]:.0f} ({times['aer'][1] / times['exact'][1]:.0f})"
        print(f"| {shots} | {shown(times['exact'])} | {shown(times['aer'])} | {ratio} |")
