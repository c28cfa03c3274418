"""Our reverse mode against the 2P circuits of Eq. 8 on Qiskit Aer.

Aer runs them as its users would: one transpile, all parameter sets bound in one run, statevector method.
`probabilities` saves the exact distribution of each circuit, `in parallel` lets Aer spread the circuits over the
cores, and `shots` measures 1024 codes per circuit.
"""

import numpy as np
import qiskit
from qiskit_aer import AerSimulator

from benchmarks.clock import Run, shown, timed
from benchmarks.quantum.problem import Problem

EPSILON = 1e-3  # radians; small, so that Aer's quotient can be held against our derivative
SHOTS = 1024


def finite_difference(problem: Problem, *, shots: bool, parallel: bool) -> Run:
    """dL/dtheta (P,) by the central difference of 2P circuits in one run."""
    circuit = problem.ansatz.qiskit()
    if shots:
        circuit.measure_all()
    else:
        circuit.save_probabilities()
    # 0 lets Aer run as many circuits at once as there are cores; its default is one, with parallel gates
    simulator = AerSimulator(method="statevector", max_parallel_experiments=0 if parallel else 1)
    circuit = qiskit.transpile(circuit, simulator)
    theta, f = problem.theta.detach().numpy().astype(float), problem.f.numpy()
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


def report(repeats: int, n: int = 12) -> None:
    """Prints the comparison at one size."""
    problem = Problem(n)
    rivals = {
        "Aer, probabilities": finite_difference(problem, shots=False, parallel=False),
        "Aer, probabilities, in parallel": finite_difference(problem, shots=False, parallel=True),
        f"Aer, {SHOTS} shots": finite_difference(problem, shots=True, parallel=False),
    }
    problem.require_equal(rivals["Aer, probabilities"]())
    times = timed({"ours": problem.ours, **rivals}, repeats)
    print(f"| gradient at n = {n}, P = {problem.ansatz.n_parameters} | ms | ours is faster by |\n|---|---|---|")
    own, own_shortest = times["ours"]
    for name, (took, shortest) in times.items():
        ratio = f"{took / own:.0f} ({shortest / own_shortest:.0f})" if name in rivals else ""
        print(f"| {name} | {shown((took, shortest))} | {ratio} |")
