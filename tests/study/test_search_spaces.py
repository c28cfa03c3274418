"""The study files that ship: each loads, plans and follows its JSON schema, and holds what the paper says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from qgan.circuits.ansatz import Ansatz
from qgan.prior_settings import PRIOR_SETTINGS, QcbmSettings
from study.fields import fields_of
from study.plan import Planned, trials
from study.schema import schema
from study.spec import Study, load

FOLDER = Path("search_spaces")
NAMES = ["bainite", "ferrite", "qpu_bainite", "qpu_ferrite", "smoke", "spsa_gains"]


def shipped(name: str) -> Study:
    return load(FOLDER / f"{name}.yaml")


@pytest.fixture(scope="module")
def valid() -> jsonschema.Draft202012Validator:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def test_nothing_ships_that_is_not_tested_here() -> None:
    assert sorted(each.stem for each in FOLDER.glob("*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_plans_and_follows_the_schema(name: str, valid: jsonschema.Draft202012Validator) -> None:
    study = shipped(name)
    assert study.name == name
    planned = trials(study)
    assert len({each.key for each in planned}) == len(planned)
    valid.validate(study.document.values)


@pytest.mark.parametrize(("name", "events"), [("ferrite", 3), ("bainite", 10)])
def test_the_papers_cells(name: str, events: int) -> None:
    study = shipped(name)
    assert study.horizons == [2000, 4000]
    assert {cell.latent_dim for cell in study.cells} == {8, 10, 12, 14, 16}
    assert {cell.images for cell in study.cells} == {3000, 9000}
    assert set(study.arms) == set(PRIOR_SETTINGS) - {"qcbm_aan"}
    for arm in study.arms.values():
        due: Callable[[int], bool] | None = getattr(arm.prior, "due", None)
        if due is not None:
            assert sum(map(due, range(1, 4001))) == events, arm.name
    assert len(trials(study)) == 10 * 12 * 6


def test_the_sixth_replicate_continues_the_papers_five() -> None:
    def planned(*words: str) -> set[str]:
        return {each.key for each in trials(load(FOLDER / "ferrite.yaml", words))}

    assert planned("replicates=5") < planned()


@pytest.mark.parametrize(("name", "cycles", "two_qubit_gates"), [("qpu_ferrite", 5, 66), ("qpu_bainite", 6, 30)])
def test_the_papers_hardware_run(name: str, cycles: int, two_qubit_gates: int) -> None:
    study = shipped(name)
    (cell,) = study.cells
    prior = study.arms["qcbm"].prior
    assert isinstance(prior, QcbmSettings)
    assert (cell.latent_dim, cell.images, study.horizons, study.window) == (12, 3000, [2000], 150)
    assert sum(map(prior.due, range(1, 2001))) == cycles
    assert 2 * prior.iterations + 1 == 101
    ansatz = Ansatz(cell.latent_dim, prior.layers, prior.connectivity, prior.entangler)
    assert len(ansatz.pairs) == two_qubit_gates
    assert {arm: len(list(each.replicates)) for arm, each in study.arms.items()} == {"bernoulli": 20, "qcbm": 1}
    assert study.qpu is not None
    assert study.qpu.backend == "rehearsal"


MISTAKES: list[tuple[str, Any]] = [
    ("train", {"widht": 3}),
    ("train", {"precision": "half"}),
    ("score", {"window": "all"}),
    ("arms", {"bernoulli": {"prior": "bernouli"}}),
    ("arms", {"bernoulli": {"prior": "bernoulli", "shots": 3}}),
    ("grid", {"latent_dim": [27], "images": [3], "epochs": [1]}),
    ("replicates", 0),
    ("results", 3),
    ("scores", {}),
    ("gains", {"arm": "qcbm", "start_epoch": 1, "search": {"b": {"low": 1, "high": 2}}}),
]


@pytest.mark.parametrize(("key", "value"), MISTAKES)
def test_the_schema_refuses_what_the_program_refuses(
    key: str, value: Any, valid: jsonschema.Draft202012Validator
) -> None:
    values = {**yaml.safe_load((FOLDER / "smoke.yaml").read_text()), key: value}
    assert not valid.is_valid(values)


def test_the_schema_explains_every_key_of_a_prior_as_its_settings_do() -> None:
    arm = schema()["properties"]["arms"]["additionalProperties"]
    for name, branch in zip(PRIOR_SETTINGS, arm["allOf"], strict=True):
        properties = branch["then"]["properties"]
        for field in fields_of(PRIOR_SETTINGS[name]):
            assert properties[field.name].get("description", "") == field.comment


def test_pairs_of_the_whole_study_share_their_streams() -> None:
    planned: list[Planned] = trials(shipped("qpu_ferrite"))
    first = {each.arm: each.trial.pairing for each in planned if each.replicate == 0}
    assert len(set(first.values())) == 1
