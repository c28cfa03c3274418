"""The noise models: IonQ's Kraus form, its rates, and characterisation files."""

import json
import math
from itertools import product

import numpy as np
import pytest
from qiskit.quantum_info import Kraus, SuperOp
from qiskit_aer.noise import NoiseModel

from qgan.errors import InputError
from qgan.ionq.noise import ARIA_SPAM, PUBLISHED, Noise, named

PAULIS = [np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]
RECORD = {
    "id": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
    "backend": "qpu.forte-1",
    "fidelity": {"1q": {"median": 0.9998}, "2q": {"median": 0.994}, "spam": {"median": 0.995, "stderr": None}},
}


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
    assert named("aria-2").spam == 0
    assert not named("aria-2").aer()._default_readout_error
    assert named("aria-2+spam").spam == ARIA_SPAM
    matrix = named("aria-2+spam").aer()._default_readout_error.probabilities
    assert np.allclose(matrix, [[1 - ARIA_SPAM, ARIA_SPAM], [ARIA_SPAM, 1 - ARIA_SPAM]])


@pytest.mark.parametrize("record", [RECORD, {"characterizations": [RECORD], "pages": 1}])
def test_a_characterisation_file_gives_its_rates(tmp_path, record):
    path = tmp_path / "forte.json"
    path.write_text(json.dumps(record))
    noise = named(f"{path}+spam")
    assert noise.pulse == pytest.approx(4e-4)
    assert noise.two_qubit == pytest.approx(8e-3)
    assert noise.spam == pytest.approx(5e-3)
    assert named(str(path)).spam == 0


def test_means_serve_where_there_are_no_medians():
    record = {"fidelity": {"1q": {"mean": 0.999}, "2q": {"mean": 0.97}, "spam": {"mean": 0.99, "median": None}}}
    assert Noise.from_characterization(record).two_qubit == pytest.approx(0.04)


@pytest.mark.parametrize("record", [{}, {"characterizations": []}, {"fidelity": {"1q": {"median": 0.9}}}, [], 3])
def test_a_file_that_is_no_characterisation_says_what_it_must_hold(tmp_path, record):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"must hold fidelity\.1q, fidelity\.2q and fidelity\.spam"):
        named(str(path))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("aria-3", "must be aria-1, aria-2, forte-1 or a characterisation"),
        ("aria-2+loss", r"only \+spam may follow"),
        ("missing.json", "missing.json is not a readable JSON file"),
    ],
)
def test_an_unknown_noise_model_is_refused(name, says):
    with pytest.raises(InputError, match=says) as error:
        named(name)
    assert error.value.key == "backend"


@pytest.mark.parametrize("rate", [-0.1, 1.5, math.nan])
def test_rates_are_between_0_and_1(rate):
    with pytest.raises(InputError, match="error rate from 0 to 1"):
        Noise(pulse=rate, two_qubit=0.0)
