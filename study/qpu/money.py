"""What a final trial on a machine costs, before it begins."""

from dataclasses import dataclass

import torch

from qgan.circuits.ansatz import Ansatz
from qgan.ionq.budget import Budget
from qgan.ionq.compiler import Profile, compile_ansatz
from qgan.ionq.journal import Journal
from qgan.ionq.machines import Machine
from qgan.ionq.native_gates import NativeCircuit
from qgan.ionq.noise import PUBLISHED
from qgan.ionq.prices import Rates
from study.qpu.final import Final

_ANGLES = 50  # parameter vectors among which the longest circuit is looked for


@dataclass(frozen=True)
class Bill:
    """The plan of a run's money and time."""

    machine: Machine
    circuits: int
    cycles: int
    per_cycle: int
    shots: int
    one: Budget  # of the longest circuit that was found
    rates: Rates
    debiasing: bool
    measured: int  # circuits whose codes are in the journal
    ordered: int  # those, and the ones whose codes are still to come
    spent: float  # US dollars ordered before

    @property
    def usd(self) -> float:
        """All circuits, those that are in the journal included."""
        return self.spent + self.to_order * (self.one.usd or 0.0)

    @property
    def to_order(self) -> int:
        return self.circuits - self.ordered

    @property
    def machine_hours(self) -> float:
        """Of what is to be ordered, gates alone, at the published times of Aria."""
        return self.to_order * self.shots * self.one.seconds_per_shot / 3600

    @property
    def waits(self) -> int:
        """How often the run waits in the machine's queue: the two points of an iteration wait together."""
        alone = int(not self.ordered)  # the circuit of the first codes, and the last one of every cycle
        alone += -(-(self.to_order - alone) // self.per_cycle)
        return -(-(self.to_order + alone) // 2)

    @property
    def queue_hours(self) -> float | None:
        """At the machine's present average."""
        return None if self.machine.queue_ms is None else self.waits * self.machine.queue_ms / 3_600_000

    def lines(self) -> list[str]:
        """For a person who is about to pay."""
        one, rates = self.one, self.rates
        mitigation = "with" if self.debiasing else "without"
        queue = "not told" if self.queue_hours is None else f"{self.queue_hours:.2g} h in {self.waits} waits"
        state = self.machine.status + (", degraded" if self.machine.degraded else "")
        told = [
            f"machine    {self.machine.name}, {state}, {self.machine.qubits} qubits",
            f"circuits   {self.circuits}: {self.cycles} cycles of {self.per_cycle}, and one for the first codes",
            f"shots      {self.shots} per circuit, {mitigation} debiasing",
            f"gates      {one.pulses} on one qubit, {one.entanglers} on two; {one.no_error:.1%} of shots without error",
            f"price      ${one.usd:,.2f} per circuit, ${self.usd:,.2f} in all ({rates.source}, {rates.read})",
            f"time       {self.machine_hours:.2g} h on the machine (gate times of Aria), queue: {queue}",
        ]
        if self.ordered:
            coming = f", {self.ordered - self.measured} more are ordered" if self.ordered > self.measured else ""
            told.append(
                f"journal    {self.measured} circuits are measured already{coming} (${self.spent:,.2f}); "
                f"{self.to_order} are left, for ${self.usd - self.spent:,.2f}"
            )
        return told


def longest_circuit(ansatz: Ansatz, profile: Profile) -> NativeCircuit:
    """The one with the most pulses among some random angles in +-pi: no run's mean is above it."""
    stream = torch.Generator().manual_seed(0)
    angles = (torch.rand(_ANGLES, ansatz.n_parameters, generator=stream, dtype=torch.float64) * 2 - 1) * torch.pi
    return max((compile_ansatz(ansatz, theta, profile) for theta in angles), key=lambda circuit: circuit.pulses)


def bill(final: Final, machine: Machine, rates: Rates, journal: Journal) -> Bill:
    """The plan of the final trial on a machine, less what its journal holds."""
    debiasing, shots = final.settings.debiasing, final.prior.shots
    noise = next((noise for name, noise in PUBLISHED.items() if name in machine.name), None)
    if noise is None:  # not published
        noise = PUBLISHED["forte-1" if machine.profile == "zz" else "aria-2"]
    circuit = longest_circuit(final.ansatz, machine.profile)
    measured = sum("result" in records for records in journal.orders.values())
    ordered = sum("void" not in records for records in journal.orders.values())
    return Bill(
        machine,
        final.circuits,
        len(final.update_epochs),
        final.circuits_per_cycle,
        shots,
        Budget.of(circuit, noise, rates=rates, shots=shots, debiasing=debiasing),
        rates,
        debiasing,
        measured,
        ordered,
        journal.spent,
    )
