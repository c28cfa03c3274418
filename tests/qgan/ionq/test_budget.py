"""What a circuit takes, against the table of the facts: gates, time, chance of no error, price."""

from datetime import date

import pytest
import torch

from qgan.circuits.ansatz import Ansatz
from qgan.ionq.budget import Budget
from qgan.ionq.cnot import compile_by_cnots
from qgan.ionq.compiler import compile_ansatz
from qgan.ionq.noise import PUBLISHED
from qgan.ionq.prices import RATES, quoted

ARIA, FORTE = RATES["qpu.aria-1"], RATES["qpu.forte-1"]


def compiled(connectivity: str, how=compile_ansatz, profile: str = "ms"):
    ansatz = Ansatz(12, 1, connectivity)
    theta = 6 * torch.rand(ansatz.n_parameters, generator=torch.Generator().manual_seed(0))
    return how(ansatz, theta, profile)


def test_the_papers_circuits_take_46_and_24_ms_and_err_less_than_by_cnots():
    full = Budget.of(compiled("full"), PUBLISHED["aria-2"])
    reduced = Budget.of(compiled("reduced"), PUBLISHED["aria-2"])
    by_cnots = Budget.of(compiled("full", compile_by_cnots), PUBLISHED["aria-2"])
    assert (full.pulses, full.entanglers) == (48, 66)
    assert full.seconds_per_shot == pytest.approx(0.046, abs=5e-4)
    assert reduced.seconds_per_shot == pytest.approx(0.024, abs=6e-4)
    assert full.no_error == pytest.approx(0.307, abs=5e-4)
    assert reduced.no_error == pytest.approx(0.577, abs=5e-4)
    assert by_cnots.entanglers == 132
    assert by_cnots.no_error < 0.1
    assert full.usd is None


@pytest.mark.parametrize(
    ("rates", "pulses", "entanglers", "circuits", "shots", "thousands"),
    [
        (ARIA, 48, 66, 505, 100, 10.1), (ARIA, 48, 66, 505, 1000, 44.1), (ARIA, 48, 30, 606, 500, 19.6),
        (FORTE, 36, 66, 505, 100, 17.1), (FORTE, 36, 66, 505, 1000, 53.4), (FORTE, 36, 30, 606, 500, 27.6),
    ],
)  # fmt: skip
def test_a_training_costs_what_the_table_says(rates, pulses, entanglers, circuits, shots, thousands):
    assert circuits * rates.usd(pulses, entanglers, shots, False) / 1000 == pytest.approx(thousands, abs=0.06)


def test_debiasing_raises_the_price():
    one = Budget.of(compiled("full"), PUBLISHED["aria-2"], rates=ARIA, shots=500, debiasing=True)
    assert one.usd == pytest.approx(97.5 + 500 * (48 * 0.00022 + 66 * 0.000975))


def test_prices_in_an_estimate_of_the_service():
    card = {"job_cost_minimum": 10, "cost_1q_gate": 0.1, "cost_2q_gate": 0.2}
    rates = quoted({"rate_information": card}, "the service", date(2026, 11, 1))
    assert rates.usd(2, 3, 10, False) == pytest.approx(10 + 10 * (0.2 + 0.6))
    assert quoted({"rate_card": {"rates": []}}, "the service", date(2026, 11, 1)) is None
    assert quoted({}, "the service", date(2026, 11, 1)) is None
    for price in (0, -1, float("nan"), float("inf")):  # no cap of money would hold with it
        assert quoted({"rate_information": {**card, "cost_2q_gate": price}}, "the service", date(2026, 11, 1)) is None
