"""Our reverse mode against PennyLane's lightning.qubit with adjoint differentiation (extra `bench`).

lightning's adjoint takes expectation values only, so f is given to it as an observable. What it is timed on:

device      f as a diagonal SparseHamiltonian, single precision, the device called on a ready tape without a QNode:
            the least work that gives the same gradient. Our speed-up is counted against this.
QNode       the same f through a torch QNode, as a user would write it.
one string  Z on every qubit instead of f, called as `device`: cheaper than any f that the loss can hold, so a bound on
            what a better way to hand f over could gain.
"""

from functools import partial

import numpy as np
import pennylane as qml
import scipy.sparse
import torch
from pennylane.devices import ExecutionConfig
from pennylane.tape import QuantumScript

from benchmarks.clock import shown, timed
from benchmarks.quantum.problem import Problem

ADJOINT = ExecutionConfig(gradient_method="adjoint", use_device_gradient=True)


def gates(problem: Problem, theta: np.ndarray | torch.Tensor) -> list[qml.operation.Operator]:
    """The ansatz; PennyLane's wire 0 is the most significant bit, so qubit q is wire n - 1 - q."""
    ansatz, last = problem.ansatz, problem.n - 1
    operations: list[qml.operation.Operator] = []
    for layer in range(ansatz.layers + 1):
        if layer:
            angles = theta[ansatz.entanglers(layer)]
            operations += [qml.IsingXX(a, (last - i, last - j)) for a, (i, j) in zip(angles, ansatz.pairs, strict=True)]
        for gate, angles in ((qml.RX, theta[ansatz.rx(layer)]), (qml.RZ, theta[ansatz.rz(layer)])):
            operations += [gate(a, last - qubit) for qubit, a in enumerate(angles)]
    return operations


def compare(n: int, repeats: int) -> str:
    """One row of the table."""
    problem = Problem(n)
    device = qml.device("lightning.qubit", wires=n, c_dtype=np.complex64)
    diagonal = scipy.sparse.diags(problem.f.numpy().astype(complex)).tocsr()
    f = qml.SparseHamiltonian(diagonal, wires=range(n))
    string = qml.prod(*[qml.PauliZ(wire) for wire in range(n)])
    theta = problem.theta.detach().double()

    def tape(observable: qml.operation.Operator) -> QuantumScript:
        script = QuantumScript(gates(problem, theta.numpy()), [qml.expval(observable)])
        script.trainable_params = list(range(len(theta)))
        return script

    @qml.qnode(device, diff_method="adjoint", interface="torch")
    def loss(angles: torch.Tensor) -> qml.measurements.ExpectationMP:
        gates(problem, angles)
        return qml.expval(f)

    def qnode() -> np.ndarray:
        leaf = theta.clone().requires_grad_()
        return torch.autograd.grad(loss(leaf), leaf)[0].numpy()

    best = partial(device.compute_derivatives, tape(f), ADJOINT)
    problem.require_equal(np.array(best()).ravel())
    problem.require_equal(qnode())
    rivals = {"device": best, "QNode": qnode, "one string": partial(device.compute_derivatives, tape(string), ADJOINT)}
    times = timed({"ours": problem.ours, **rivals}, repeats)
    speed_up = f"{times['device'][0] / times['ours'][0]:.1f} ({times['device'][1] / times['ours'][1]:.1f})"
    return f"| {n} | {problem.ansatz.n_parameters} | " + " | ".join(map(shown, times.values())) + f" | {speed_up} |"


def report(repeats: int, sizes: tuple[int, ...] = (8, 12, 16, 18, 20)) -> None:
    """Prints the comparison at each size."""
    print("Times in ms; lightning as device, QNode and one string.\n")
    print("| n | P | ours | device | QNode | one string | ours is faster than device by |")
    print("|---|---|---|---|---|---|---|")
    for n in sizes:
        print(compare(n, repeats), flush=True)
