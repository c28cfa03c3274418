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

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

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

    @classmethod
    def from_characterization(cls, record: Mapping[str, Any]) -> Self:
        """The rates of one of IonQ's characterisation records, or of the list of them that its API returns.

        A gate of average fidelity F on d dimensions has depolarising rate (1 - F) d / (d - 1); medians are used.
        """
        try:
            record = record.get("characterizations", [record])[0]
            fidelity = {name: _median(record["fidelity"][name]) for name in ("1q", "2q", "spam")}
        except (AttributeError, IndexError, KeyError, TypeError) as error:
            raise InputError(
                "a characterisation must hold fidelity.1q, fidelity.2q and fidelity.spam, each with a median, "
                "as GET /backends/NAME/characterizations returns it",
                "backend",
            ) from error
        return cls((1 - fidelity["1q"]) * 2, (1 - fidelity["2q"]) * 4 / 3, 1 - fidelity["spam"])

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


def named(name: str) -> Noise:
    """The noise called `aria-1`, `aria-2` or `forte-1`, or recorded in a characterisation FILE.json.

    `+spam` at the end adds errors of preparation and measurement, which are otherwise left out.
    """
    model, plus, rest = name.partition("+")
    if plus and rest != "spam":
        raise InputError(f"only +spam may follow a noise model, not +{rest}", "backend")
    if model.endswith(".json"):
        noise = Noise.from_characterization(_read(Path(model)))
    elif model in PUBLISHED:
        noise = PUBLISHED[model]
    else:
        raise InputError(
            f"noise model must be {', '.join(PUBLISHED)} or a characterisation FILE.json, not {model!r}", "backend"
        )
    return noise if plus else replace(noise, spam=0.0)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable JSON file: {error}", "backend") from error
    return record  # type: ignore[no-any-return]


def _median(statistics: Mapping[str, float]) -> float:
    return float(statistics["median"] if statistics.get("median") is not None else statistics["mean"])
