"""What a job order must be, as strictly as IonQ's schema has it."""

from collections.abc import Mapping
from typing import Any

from qgan.errors import InputError
from qgan.ionq.native_gates import NativeGate
from qgan.ionq.noise import PUBLISHED
from qgan.ionq.rehearsal.catalogue import Machine

MOST_QUBITS = 20  # simulated

_KEYS = {"type", "backend", "shots", "name", "input", "metadata", "settings", "noise", "dry_run", "session_id"}
_ANGLES = {"ms": (0.0, 0.25), "zz": (-0.5, 0.5)}  # turns


def checked(body: dict[str, Any], machines: Mapping[str, Machine]) -> tuple[Machine, list[NativeGate]]:
    """The machine and the gates of an order; raises InputError with the sentence to answer.

    Where a value is of a wrong type it may raise AttributeError, KeyError or TypeError instead.
    """
    _require(isinstance(body, dict), "a job is a JSON object")
    _require(body.keys() <= _KEYS, f"unknown keys: {sorted(body.keys() - _KEYS)}")
    _require(body.get("type") == "ionq.circuit.v1", "the rehearsal runs jobs of type ionq.circuit.v1 alone")
    machine = machines.get(body.get("backend", ""))
    if machine is None:
        raise InputError(f"unknown backend {body.get('backend')!r}")
    shots, given = body.get("shots"), body.get("input")
    _require(type(shots) is int and 1 <= shots <= 1_000_000, "shots must be a whole number from 1 to 1000000")
    _require(
        isinstance(given, dict) and given.keys() == {"gateset", "qubits", "circuit"},
        "input must hold gateset, qubits and circuit",
    )
    assert isinstance(given, dict)
    _require(given["gateset"] == "native", "the rehearsal runs native gates alone")
    metadata = body.get("metadata") or {}
    fine = len(metadata) <= 10 and all(
        len(key) <= 40 and isinstance(value, str) and len(value) <= 40_000 for key, value in metadata.items()
    )
    _require(fine, "metadata has at most 10 keys of 40 characters, and strings as values")
    gates = [NativeGate.from_json(record) for record in given["circuit"]]
    unknown = sorted({gate.name for gate in gates} - set(machine.gates))
    _require(not unknown, f"Gate types [{', '.join(unknown)}] are not supported by this backend")
    for gate in gates:
        _require(max(gate.qubits) < given["qubits"], f"a {gate.name} acts outside the {given['qubits']} qubits")
        low, high = _ANGLES.get(gate.name, (0.0, 0.0))
        _require(gate.angle is None or low <= gate.angle <= high, f"angle of {gate.name} out of range")
    _require(given["qubits"] <= machine.qubits, f"{machine.name} has {machine.qubits} qubits")
    _require(given["qubits"] <= MOST_QUBITS, f"the rehearsal simulates at most {MOST_QUBITS} qubits")
    if machine.noise is None:
        model = noise_model(body)
        _require(model == "ideal" or model in PUBLISHED, f"unknown noise model {model!r}")
    return machine, gates


def noise_model(body: Mapping[str, Any]) -> str:
    """The noise that IonQ's simulator is asked for."""
    model: str = (body.get("noise") or {}).get("model", "ideal")
    return model


def _require(fine: bool, message: str) -> None:
    if not fine:
        raise InputError(message)
