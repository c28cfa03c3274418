"""How long one gradient of the Born machine's loss takes: our reverse mode against Qiskit Aer's finite difference.

    python benchmarks/quantum.py [--repeats 9] [--ours 6,8,10,12,14,16,18,20]

One layer, full connectivity, RXX, single precision, all threads. Both get f on all codes, both are warmed up, and
they have to agree before the clock starts. Aer runs the 2P circuits of Eq. 8 as its users would: one transpile, all
parameter sets bound in one run, statevector method; `probabilities` saves the exact distribution of each circuit, and
`in parallel` lets Aer spread the circuits over the cores; `shots` measures 1024 codes per circuit.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import qiskit
import qiskit_aer
import torch
from qiskit_aer import AerSimulator

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.exact import StateVector

EPSILON = 1e-3  # radians; small, so that Aer's quotient can be held against our derivative
SHOTS = 1024


def cpu_model() -> str:
    """The processor's name where Linux tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def timed(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median and shortest wall time of each run, ms, after a warm-up; in turns, so that a busy machine hits all."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            run()  # the rival before it has taken caches and threads
            start = time.perf_counter()
            run()
            if repeat > 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: (1e3 * median(each), 1e3 * min(each)) for name, each in seconds.items()}


def ours(ansatz: Ansatz, theta: torch.Tensor, f: torch.Tensor) -> Callable[[], np.ndarray]:
    """dL/dtheta (P,) by one forward and one reverse pass."""
    sampler = StateVector(ansatz, torch.Generator())

    def gradient() -> np.ndarray:
        leaf = theta.requires_grad_()
        return torch.autograd.grad(sampler.probabilities(leaf[None])[0] @ f, leaf)[0].numpy()

    return gradient


def aer(ansatz: Ansatz, theta: np.ndarray, f: np.ndarray, *, shots: bool, parallel: bool) -> Callable[[], np.ndarray]:
    """dL/dtheta (P,) by the central difference of 2P circuits in one run."""
    circuit = ansatz.qiskit()
    if shots:
        circuit.measure_all()
    else:
        circuit.save_probabilities()
    # 0 lets Aer run as many circuits at once as there are cores; its default is one, with parallel gates
    simulator = AerSimulator(method="statevector", max_parallel_experiments=0 if parallel else 1)
    circuit = qiskit.transpile(circuit, simulator)
    steps = EPSILON * np.eye(len(theta))
    points = np.concatenate([theta + steps, theta - steps])

    def gradient() -> np.ndarray:
        binds = {parameter: points[:, parameter.index].tolist() for parameter in circuit.parameters}
        result = simulator.run([circuit], parameter_binds=[binds], shots=SHOTS).result()
        if shots:
            counts = [result.get_counts(i) for i in range(len(points))]
            losses = [sum(k * f[int(code, 2)] for code, k in each.items()) / SHOTS for each in counts]
        else:
            losses = [result.data(i)["probabilities"] @ f for i in range(len(points))]
        plus, minus = np.split(np.asarray(losses), 2)
        return (plus - minus) / (2 * EPSILON)

    return gradient


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="timed runs per row, the median is printed")
    parser.add_argument("--ours", default="6,8,10,12,14,16,18,20", help="numbers of qubits for our gradient")
    parser.add_argument("--against", type=int, default=12, help="number of qubits for the comparison with Aer")
    arguments = parser.parse_args()
    print(
        f"{cpu_model()}, {os.cpu_count()} cores, torch threads {torch.get_num_threads()}, load {os.getloadavg()[0]:.1f}"
    )
    print(f"python {platform.python_version()}, torch {torch.__version__}, qiskit {qiskit.__version__}, ", end="")
    print(f"qiskit-aer {qiskit_aer.__version__}; median (shortest) of {arguments.repeats}\n")

    stream = torch.Generator().manual_seed(0)

    def problem(n: int) -> tuple[Ansatz, torch.Tensor, torch.Tensor]:
        ansatz = Ansatz(n)
        return ansatz, ansatz.initial_angles(0.5, stream), torch.randn(2**n, generator=stream)

    ansatz, theta, f = problem(arguments.against)
    reference = ours(ansatz, theta, f)
    rivals = {
        "Aer, probabilities": aer(ansatz, theta.numpy().astype(float), f.numpy(), shots=False, parallel=False),
        "Aer, probabilities, in parallel": aer(
            ansatz, theta.numpy().astype(float), f.numpy(), shots=False, parallel=True
        ),
        f"Aer, {SHOTS} shots": aer(ansatz, theta.numpy().astype(float), f.numpy(), shots=True, parallel=False),
    }
    apart = np.abs(rivals["Aer, probabilities"]() - reference()).max()
    if apart > 1e-5:
        raise SystemExit(f"the gradients differ by {apart:.1e}: nothing to time")
    print(f"n = {arguments.against}, P = {ansatz.n_parameters}; gradients agree to {apart:.0e}")
    times = timed({"ours, reverse mode": reference, **rivals}, arguments.repeats)
    own, own_shortest = times["ours, reverse mode"]
    for name, (took, shortest) in times.items():
        ratios = f"{took / own:8.0f} ({shortest / own_shortest:.0f}) x ours" if name in rivals else ""
        print(f"{name:34}{took:10.2f} ms ({shortest:.2f}){ratios}")

    print(f"\n{'n':>4}{'P':>6}{'ours, ms':>11}{'shortest':>11}")
    for n in map(int, arguments.ours.split(",")):
        ansatz, theta, f = problem(n)
        ((took, shortest),) = timed({"ours": ours(ansatz, theta, f)}, 5 * arguments.repeats).values()
        print(f"{n:4}{ansatz.n_parameters:6}{took:11.2f}{shortest:11.2f}")


if __name__ == "__main__":
    main()
