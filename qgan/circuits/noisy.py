"""The noisy sampler: an IonQ machine's noise on the exact sampler, 20 to 40 times faster than Aer at 12 qubits.

The noise is random Paulis between rotations about Paulis. A Pauli E behind which a rotation follows can be moved past
it, E exp(-i t Q / 2) = exp(-i (+-t) Q / 2) E, minus where E and Q anticommute. Moved past the whole circuit,

    the errors of one shot are the same ansatz with some angles negated, and some measured bits flipped:

X and Y errors flip the bit and negate later RZ and RZZ on their qubit, Z and Y errors negate later RX and RXX. Both
are parities, linear in the errors. Shots with the same angles negated, most of all those without, share a state.
"""

import torch
from torch import Tensor

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.codes import cumulative, require_shots, to_bits
from qgan.circuits.exact import StateVector
from qgan.ionq.noise import Noise

_AMPLITUDES = 2**22  # in memory at a time, whatever the number of shots


class NoisyStateVector:
    """Measures an ansatz with a machine's noise, on the device of `stream`; every shot has its own errors."""

    def __init__(self, ansatz: Ansatz, stream: torch.Generator, noise: Noise) -> None:
        self.exact = StateVector(ansatz, stream)
        self.stream = stream
        self.noise = noise
        # theta is ordered as the gates are; `legs` lists the places of errors: after which gate, on which qubit
        about_x = torch.zeros(ansatz.n_parameters, dtype=torch.bool)
        acts = torch.zeros(ansatz.n_parameters, ansatz.n_qubits, dtype=torch.bool)
        rates: list[float] = []
        legs: list[tuple[int, int, int]] = []
        for index, (gate, qubits) in enumerate(_gates(ansatz)):
            about_x[index] = gate in ("rx", "rxx")
            acts[index, list(qubits)] = True
            if gate != "rz":  # virtual, without noise
                legs += [(len(rates), index, qubit) for qubit in qubits]
                # an RX is two pulses
                rates.append(1 - (1 - noise.pulse) ** 2 if gate == "rx" else noise.two_qubit)
        gates, after, on = torch.tensor(legs).T
        later = acts[:, on].T & (torch.arange(ansatz.n_parameters) > after[:, None])  # (legs, P)
        device = stream.device
        self.rates = torch.tensor(rates, device=device)
        self.gates = gates.to(device)
        # float, as integers have no fast matrix product; parities of up to 2**24 errors are exact
        self.negated_by_z = (later & about_x).float().to(device)
        self.negated_by_x = (later & ~about_x).float().to(device)
        self.flipped_by_x = torch.nn.functional.one_hot(on, ansatz.n_qubits).float().to(device)

    def sample(self, theta: Tensor, shots: int) -> Tensor:
        """Measured codes (batch, shots, n_bits) uint8 of the circuits with angles theta (batch, P), radians."""
        self.exact.ansatz.require_angles(theta)
        require_shots(shots)
        with torch.no_grad():
            return torch.stack([self._measure(each, shots) for each in theta])

    def _measure(self, theta: Tensor, shots: int) -> Tensor:
        """Codes (shots, n_bits) of one circuit, theta (P,)."""
        n = self.exact.ansatz.n_qubits
        # with its rate, a gate's qubits are replaced by noise: any Pauli, the identity included, on each of them
        hit = self._uniform(shots, len(self.rates)) < self.rates
        pauli = torch.randint(4, (shots, len(self.gates)), generator=self.stream, device=self.stream.device)
        pauli *= hit[:, self.gates]
        x, z = (pauli & 1).float(), (pauli >> 1).float()
        negated, which = ((z @ self.negated_by_z + x @ self.negated_by_x) % 2).unique(dim=0, return_inverse=True)
        codes = torch.empty(shots, dtype=torch.long, device=self.stream.device)
        rows = max(1, _AMPLITUDES >> n)
        for start in range(0, len(negated), rows):
            sums = cumulative(self.exact.probabilities(theta * (1 - 2 * negated[start : start + rows])))
            mine = ((which >= start) & (which < start + rows)).nonzero().squeeze(1)
            row = which[mine] - start
            # one search for all: the sums of row r run from r to r + 1
            ladder = (sums / sums[:, -1:] + torch.arange(len(sums), device=sums.device)[:, None]).flatten()
            found = torch.searchsorted(ladder, row + self._uniform(len(mine), dtype=torch.float64), right=True)
            codes[mine] = (found - (row << n)).clamp_(max=(1 << n) - 1)
        flips = (x @ self.flipped_by_x) % 2 != (self._uniform(shots, n) < self.noise.spam)
        return to_bits(codes, n) ^ flips.to(torch.uint8)

    def _uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.rand(*shape, generator=self.stream, dtype=dtype, device=self.stream.device)


def _gates(ansatz: Ansatz) -> list[tuple[str, tuple[int, ...]]]:
    """Kind and qubits of the gate of every entry of theta."""
    singles = [("rx", (q,)) for q in range(ansatz.n_qubits)] + [("rz", (q,)) for q in range(ansatz.n_qubits)]
    pairs = [(ansatz.entangler, pair) for pair in ansatz.pairs]
    return [*singles, *(ansatz.layers * [*pairs, *singles])]
