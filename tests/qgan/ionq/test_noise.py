"""The noise models: IonQ's Kraus form and its rates."""

import math
from itertools import product

import numpy as np
import pytest
from qiskit.quantum_info import Kraus, SuperOp
from qiskit_aer.noise import NoiseModel

from qgan.errors import InputError
from qgan.ionq.noise import ARIA_SPAM, NAMED, PUBLISHED, Noise

PAULIS = [np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]


def ionq_kraus(rate: float, qubits: int) -> SuperOp:
    """As printed in IonQ's guide."""
    if qubits == 1:
        weights, operators = [1 - 3 * rate / 4] + 3 * [rate / 4], PAULIS
    else:
        weights = [1 - 15 * rate / 16] + 15 * [rate / 16]
        operators = [np.kron(a, b) for a, b in product(PAULIS, PAULIS)]
    return SuperOp(Kraus([math.sqrt(w) * each for w, each in zip(weights, operators, strict=True)]))


def errors(model: NoiseModel) -> dict[str, SuperOp]:
    return {name: SuperOp(error) for name, error in model._default_quantum_errors.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_aer_model_is_ionqs_kraus_form(name):
    noise = PUBLISHED[name]
    found = errors(noise.aer())
    assert set(found) == {"rx", "rxx", "rzz"}  # RZ is virtual
    pulse = ionq_kraus(noise.pulse, 1)
    assert np.allclose(found["rx"].data, (pulse @ pulse).data, atol=1e-14)  # two GPI2 pulses
    for gate in ("rxx", "rzz"):
        assert np.allclose(found[gate].data, ionq_kraus(noise.two_qubit, 2).data, atol=1e-14)


def test_the_published_infidelities_come_out():
    # average infidelity of a depolarising channel on d dimensions: rate (d - 1) / d
    for name, one, two in (("aria-1", 2.5e-4, 1.0e-2), ("aria-2", 3.3e-4, 1.39e-2), ("forte-1", 1.3e-4, 3.7e-3)):
        assert PUBLISHED[name].pulse / 2 == pytest.approx(one, rel=0.03)
        assert PUBLISHED[name].two_qubit * 3 / 4 == pytest.approx(two, rel=0.01)


def test_errors_of_preparation_and_measurement_are_optional():
    assert NAMED["aria-2"].spam == 0
    assert not NAMED["aria-2"].aer()._default_readout_error
    assert NAMED["aria-2+spam"].spam == ARIA_SPAM
    matrix = NAMED["aria-2+spam"].aer()._default_readout_error.probabilities
    assert np.allclose(matrix, [[1 - ARIA_SPAM, ARIA_SPAM], [ARIA_SPAM, 1 - ARIA_SPAM]])


@pytest.mark.parametrize("rate", [-0.1, 1.5, math.nan])
def test_rates_are_between_0_and_1(rate):
    with pytest.raises(InputError, match="error rate from 0 to 1"):
        Noise(pulse=rate, two_qubit=0.0)
