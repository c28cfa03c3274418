"""Native circuits of the paper's ansatz: ours, by CNOTs (Eq. 11), and as Qiskit transpiles them; and noisy shots.

    python -m benchmarks.ionq [--repeats 5] [--shots 1000]

12 qubits, one layer. Gates, the chance of a shot without any error under the machine's published noise model, the
price of one job by the list, and the time to compile, median (shortest) of the repeats in turns. Then the time of a
job's noisy shots: the rehearsal's simulation of the native gates, against Aer running the same native gates.
"""

import argparse
import math
import warnings
from collections import Counter

import torch
from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error
from qiskit_ionq.ionq_backend import IonQBackend

from benchmarks.clock import machine, shown, timed
from qgan.circuits.ansatz import Ansatz
from qgan.ionq.cnot import compile_by_cnots
from qgan.ionq.compiler import Compiler, Profile, compile_ansatz
from qgan.ionq.native_gates import NativeCircuit
from qgan.ionq.noise import PUBLISHED, Noise
from qgan.ionq.prices import RATES
from qgan.ionq.rehearsal.simulation import shots

N = 12
PLACES: list[tuple[str, str, Profile]] = [("aria-2", "qpu.aria-2", "ms"), ("forte-1", "qpu.forte-1", "zz")]


def no_error(noise: Noise, pulses: int, pairs: int) -> float:
    return float((1 - 3 / 4 * noise.pulse) ** pulses * (1 - 15 / 16 * noise.two_qubit) ** pairs)


def backend(name: str) -> IonQBackend:
    """Qiskit's target for a machine, without asking any address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return IonQBackend(
            provider=None, name=f"ionq_{name}", description="", gateset="native", num_qubits=N, simulator=False
        )


def on_aer(circuit: NativeCircuit) -> QuantumCircuit:
    """The native gates as Aer knows them: r, rxx and rzz with noise, virtual rz without."""
    made = QuantumCircuit(circuit.n_qubits)
    for gate in circuit.gates:
        turns = [2 * math.pi * phase for phase in gate.phases]
        if not gate.entangles:
            made.r(math.pi if gate.name == "gpi" else math.pi / 2, turns[0], gate.qubits[0])
            continue
        assert gate.angle is not None
        for turn, qubit in zip(turns, gate.qubits, strict=False):
            made.rz(-turn, qubit)
        (made.rzz if gate.name == "zz" else made.rxx)(2 * math.pi * gate.angle, *gate.qubits)
        for turn, qubit in zip(turns, gate.qubits, strict=False):
            made.rz(turn, qubit)
    made.measure_all()
    return made


def aer(noise: Noise) -> AerSimulator:
    model = NoiseModel(basis_gates=["r", "rz", "rxx", "rzz"])
    model.add_all_qubit_quantum_error(depolarizing_error(noise.pulse, 1), ["r"])
    model.add_all_qubit_quantum_error(depolarizing_error(noise.two_qubit, 2), ["rxx", "rzz"])
    return AerSimulator(method="statevector", noise_model=model)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--shots", type=int, default=1000)
    given = options.parse_args()
    print(machine("cpu"), "\n")
    print("| machine | circuit | compiler | 1-qubit | 2-qubit | P(no error) | $ per job | compile, ms |")
    print("|---|---|---|---|---|---|---|---|")
    simulated = []
    for noise_name, place, profile in PLACES:
        noise, target = PUBLISHED[noise_name], backend(place)
        for connectivity in ("full", "reduced"):
            ansatz = Ansatz(N, 1, connectivity)  # type: ignore[arg-type]
            theta = 6 * torch.rand(ansatz.n_parameters, generator=torch.Generator().manual_seed(0))
            bound = ansatz.qiskit().assign_parameters(theta.tolist())
            ways = {
                "ours": lambda a=ansatz, t=theta, p=profile: compile_ansatz(a, t, p),
                "ours, negative angles of ZZ": lambda a=ansatz, t=theta, p=profile: compile_ansatz(
                    a, t, Compiler(N, p, negative_zz=True)
                ),
                "by CNOTs (Eq. 11)": lambda a=ansatz, t=theta, p=profile: compile_by_cnots(a, t, p),
                "Qiskit's transpile": lambda b=bound, g=target: transpile(b, g, optimization_level=1),
            }
            if profile == "ms":
                del ways["ours, negative angles of ZZ"]
            took = timed(ways, given.repeats)
            for name, compiled in ways.items():
                made = compiled()
                if isinstance(made, NativeCircuit):
                    pulses, pairs = made.pulses, made.entanglers
                else:
                    counts = Counter(made.count_ops())
                    pulses, pairs = counts["gpi"] + counts["gpi2"], counts["ms"] + counts["zz"]
                usd = RATES[place].usd(pulses, pairs, given.shots, False)
                print(
                    f"| {noise_name} | {connectivity} | {name} | {pulses} | {pairs} | "
                    f"{no_error(noise, pulses, pairs):.3f} | {usd:.0f} | {shown(took[name])} |"
                )
            simulated.append((noise_name, connectivity, noise, compile_ansatz(ansatz, theta, profile)))
    print(f"\n| machine | circuit | ours, {given.shots} noisy shots, ms | Aer, the same, ms |\n|---|---|---|---|")
    for noise_name, connectivity, noise, circuit in simulated:
        theirs, program = aer(noise), on_aer(circuit)
        took = timed(
            {
                "ours": lambda c=circuit, x=noise: shots(c.gates, N, given.shots, x, torch.Generator().manual_seed(0)),
                "Aer": lambda s=theirs, p=program: s.run(p, shots=given.shots, memory=True).result(),
            },
            given.repeats,
        )
        print(f"| {noise_name} | {connectivity} | {shown(took['ours'])} | {shown(took['Aer'])} |")


if __name__ == "__main__":
    main()
