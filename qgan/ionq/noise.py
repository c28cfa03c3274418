"""IonQ's published noise models, and their Aer form.

One depolarising channel follows every native gate (docs.ionq.com, "Simulation with noise models"): with rate r,

    K_0 = sqrt(1 - 3r/4) I,    K_i  = sqrt(r/4)  P_i   for a pulse on one qubit,
    K_00 = sqrt(1 - 15r/16) I, K_ij = sqrt(r/16) P_ij  for a two-qubit gate,

whatever its angle. A machine does not run RX and RZ but GPI2 pulses with a phase and one MS or ZZ gate:

    RX        two GPI2 pulses; depolarising commutes with every rotation, so that both errors follow the RX
    RZ        no pulse, it shifts the phases of later ones: no noise
    RXX, RZZ  one two-qubit gate

A circuit of the ansatz therefore carries two pulses per RX and one two-qubit gate per pair, as in the paper: 48 and 66
for 12 qubits, full, one layer. Where the machine lacks the entangler (RZZ on Aria, RXX on Forte) the compiler merges
its changes of basis with the rotations beside it and needs 36 pulses: the model then errs on the noisy side, by 12
pulses of about 1/20 of a two-qubit error.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qgan.errors import InputError

if TYPE_CHECKING:
    from qiskit_aer.noise import NoiseModel

ARIA_SPAM = 0.0039  # 99.61 % fidelity of preparing and measuring a qubit, Azure's provider page for Aria


@dataclass(frozen=True)
class Noise:
    """Error rates of a machine's native gates."""

    pulse: float  # depolarising rate r after a GPI or GPI2
    two_qubit: float  # depolarising rate r after an MS or ZZ
    spam: float = 0.0  # probability that a measured bit is reported flipped; IonQ's own models have none

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if not 0 <= value <= 1:
                raise InputError(f"{key} must be an error rate from 0 to 1, not {value!r}", key)

    def aer(self) -> "NoiseModel":
        """The Aer noise model for circuits of rx, rz, rxx and rzz."""
        from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

        model = NoiseModel(basis_gates=["rx", "rz", "rxx", "rzz"])
        # two pulses leave a state alone with probability (1 - r)**2
        model.add_all_qubit_quantum_error(depolarizing_error(1 - (1 - self.pulse) ** 2, 1), ["rx"])
        model.add_all_qubit_quantum_error(depolarizing_error(self.two_qubit, 2), ["rxx", "rzz"])
        if self.spam:
            kept = 1 - self.spam
            model.add_all_qubit_readout_error(ReadoutError([[kept, self.spam], [self.spam, kept]]))
        return model


# IonQ's rates; the SPAM of `+spam` is Aria's for all, as none is published for Forte's noise model
PUBLISHED = {
    "aria-1": Noise(pulse=0.0005, two_qubit=0.0133, spam=ARIA_SPAM),
    "aria-2": Noise(pulse=0.0006573333333333332, two_qubit=0.01856, spam=ARIA_SPAM),
    "forte-1": Noise(pulse=0.0002666666666666667, two_qubit=0.004949333333333333, spam=ARIA_SPAM),
}

NAMED = {  # as backends name them: errors of preparation and measurement with `+spam` alone
    f"{machine}{spam}": noise if spam else replace(noise, spam=0.0)
    for machine, noise in PUBLISHED.items()
    for spam in ("", "+spam")
}
