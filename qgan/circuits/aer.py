"""The Aer sampler: finite shots from Qiskit's simulator, ideal or with an IonQ machine's noise."""

from typing import Literal

import torch
from torch import Tensor

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import require_shots, to_bits
from qgan.errors import InputError
from qgan.ionq.noise import Noise

Device = Literal["CPU", "GPU"]


class AerSampler:
    """Measures an ansatz on Aer's state vector, with one random error history per shot where there is noise.

    All circuits of one call are parameter binds of one circuit in one Aer run. Its seed is drawn from `stream`, so
    that the state of the stream is all that a resume needs; how many cores share the work changes no code.
    Raises InputError where a GPU is asked for that Aer does not offer.
    """

    def __init__(
        self, ansatz: Ansatz, stream: torch.Generator, noise: Noise | None = None, device: Device = "CPU"
    ) -> None:
        from qiskit import transpile
        from qiskit_aer import AerSimulator

        offered = AerSimulator().available_devices()
        if device not in offered:
            raise InputError(
                f"Aer offers {', '.join(offered)} on this machine, not {device}: install the extra gpu "
                "(qiskit-aer-gpu) where there is a GPU, or run on the CPU",
                "backend",
            )
        self.ansatz = ansatz
        self.stream = stream
        self.simulator = AerSimulator(
            method="statevector",
            device=device,
            noise_model=noise.aer() if noise else None,
            max_parallel_experiments=0,  # as many circuits at once as there are cores
        )
        circuit = ansatz.qiskit()
        circuit.measure_all()
        # level 0 checks and keeps every gate: the noise counts them
        self.circuit = transpile(circuit, self.simulator, optimization_level=0)

    def sample(self, theta: Tensor, shots: int) -> Tensor:
        """Measured codes (batch, shots, n_bits) uint8 of the circuits with angles theta (batch, P), radians."""
        self.ansatz.require_angles(theta)
        require_shots(shots)
        angles = theta.detach().double().cpu().numpy()
        binds = {parameter: angles[:, parameter.index].tolist() for parameter in self.circuit.parameters}
        seed = int(torch.randint(2**31, (), generator=self.stream, device=self.stream.device))
        job = self.simulator.run([self.circuit], parameter_binds=[binds], shots=shots, memory=True, seed_simulator=seed)
        result = job.result()
        if not result.success:
            raise RuntimeError(f"Aer could not run {len(theta)} circuits of {self.ansatz}: {result.status}")
        codes = [[int(code, 16) for code in each.data.memory] for each in result.results]
        return to_bits(torch.tensor(codes, device=theta.device), self.ansatz.n_qubits)
