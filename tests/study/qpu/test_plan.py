"""Which trial, on which rung, for how much."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from qgan.circuits.ansatz import Ansatz
from qgan.errors import InputError
from qgan.ionq.journal import Journal
from qgan.ionq.machines import Machine
from qgan.ionq.prices import rates
from qgan.prior_settings import Gains
from study.qpu.calibration import calibration_job, keep
from study.qpu.final import Final, final
from study.qpu.ladder import Rung
from study.qpu.money import bill, longest_circuit
from study.spec import load

Write = Callable[..., Path]

ARIA = Machine("qpu.aria-2", "available", 25, False, 60_000.0, None, ("gpi", "gpi2", "ms"))
FORTE = Machine("qpu.forte-1", "available", 36, False, None, None, ("gpi", "gpi2", "zz"))


def shipped(name: str) -> Final:
    return final(load(Path(f"search_spaces/{name}.yaml")), None)


@pytest.mark.parametrize(
    ("name", "cycles", "circuits", "pairs", "usd"),
    [("qpu_ferrite", 5, 506, 66, 44_187), ("qpu_bainite", 6, 607, 30, 31_702)],
)
def test_the_papers_protocol(name: str, cycles: int, circuits: int, pairs: int, usd: int, tmp_path: Path) -> None:
    found = shipped(name)
    assert (found.circuits_per_cycle, found.circuits, len(found.ansatz.pairs)) == (101, circuits, pairs)
    assert found.update_epochs == [50 * event for event in range(1, cycles + 1)]
    assert (found.planned.trial.latent_dim, found.planned.trial.images) == (12, 3000)
    assert (found.study.horizons, found.study.window) == ([2000], 150)
    assert found.study.arms["bernoulli"].replicates.count == 20
    assert found.rung.rehearsed
    planned = bill(found, ARIA, rates("qpu.aria-2"), Journal(tmp_path))
    assert (planned.one.pulses, planned.one.entanglers) == (48, pairs)
    assert planned.usd == pytest.approx(usd, abs=1)
    # gates are serial: 48 pulses of 135 us and `pairs` gates of 600 us
    hours = circuits * 1000 * (48 * 135e-6 + pairs * 600e-6) / 3600
    assert planned.machine_hours == pytest.approx(hours)
    assert planned.waits == 1 + cycles * 51  # the first codes; 50 pairs and the last point of a cycle
    assert planned.queue_hours == pytest.approx(planned.waits / 60)
    text = "\n".join(planned.lines())
    assert f"{circuits}: {cycles} cycles of 101" in text


def test_no_circuit_of_a_run_is_above_the_bill_on_average() -> None:
    import torch

    from qgan.ionq.compiler import compile_ansatz

    ansatz = Ansatz(6)
    worst = longest_circuit(ansatz, "zz").pulses
    stream = torch.Generator().manual_seed(7)
    angles = 12 * torch.rand(100, ansatz.n_parameters, generator=stream, dtype=torch.float64) - 6
    pulses = [compile_ansatz(ansatz, theta, "zz").pulses for theta in angles]
    assert sum(pulses) / len(pulses) < worst


@pytest.mark.parametrize(
    ("word", "simulated", "rehearsed", "machine"),
    [
        ("exact", True, False, "exact"),
        ("aer:aria-2", True, False, "aer:aria-2"),
        ("exact:aria-2", True, False, "exact:aria-2"),
        ("rehearsal", False, True, "qpu.aria-2"),
        ("rehearsal:forte-1", False, True, "qpu.forte-1"),
        ("qpu.forte-1", False, False, "qpu.forte-1"),
    ],
)
def test_the_ladder(word: str, simulated: bool, rehearsed: bool, machine: str) -> None:
    rung = Rung(word)
    assert (rung.simulated, rung.rehearsed, rung.machine) == (simulated, rehearsed, machine)


@pytest.mark.parametrize(
    "word",
    ["", "qpu", "qpu.", "qpu.Forte-1", "qpu.forte 1", "qpu...", "rehearsal:", "exact:aria-9", "hardware", "rehearsals"],
)
def test_words_that_are_no_rung_on_the_command_line_and_in_a_study_file(word: str, write: Write) -> None:
    with pytest.raises(InputError, match=r"^must be rehearsal"):
        Rung(word)
    with pytest.raises(InputError, match=r"qpu\.backend: must be rehearsal"):
        load(write(), [f'qpu.backend="{word}"'])


def test_every_rung_runs_the_same_trial(write: Write) -> None:
    study = load(write())
    exact = final(study, "exact").on_rung()
    rehearsed = final(study, "rehearsal").on_rung()
    machine = final(study, "qpu.forte-1").on_rung()
    assert rehearsed.planned == machine.planned
    assert replace(exact.planned.trial, prior=rehearsed.prior) == rehearsed.planned.trial
    assert replace(exact.prior, backend=rehearsed.prior.backend) == rehearsed.prior
    assert exact.run_name != rehearsed.run_name != machine.run_name


def test_gains_are_calibrated_once_for_all_rungs(write: Write, tmp_path: Path) -> None:
    path = write()
    path.write_text(path.read_text().replace("gains: {a: 0.5, c: 0.2}, ", ""))
    found = final(load(path), "exact").on_rung()
    assert found.saved_gains() is None
    job = calibration_job(found, tmp_path / "patches")
    prior = job.planned.trial.prior
    assert (prior.backend, prior.gains, prior.iterations) == ("exact:aria-2", None, 1)  # type: ignore[union-attr]
    assert job.horizons == [2]
    keep(found, Gains(0.25, 0.1, 2.0))
    for rung in ("exact", "rehearsal", "qpu.forte-1"):
        again = final(load(path), rung).on_rung()
        assert again.saved_gains() == Gains(0.25, 0.1, 2.0)
        assert again.with_gains(Gains(0.25, 0.1, 2.0)).gains_file == found.gains_file
    # an arm takes the file by name
    taken = path.read_text().replace("replicates: 2}", f"gains: {found.gains_file}, replicates: 2}}")
    path.write_text(taken)
    assert final(load(path), "exact").prior.gains == Gains(0.25, 0.1, 2.0)


def test_damaged_gains_are_named(write: Write) -> None:
    path = write()
    path.write_text(path.read_text().replace("gains: {a: 0.5, c: 0.2}, ", ""))
    found = final(load(path), None)
    found.gains_file.parent.mkdir(parents=True)
    found.gains_file.write_text("{")
    with pytest.raises(InputError, match="is damaged; remove it"):
        found.saved_gains()


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("arms.qcbm.optimizer=gd", "gains: must be left out"),
        ("arms.qcbm={prior: qcbm, optimizer: gd}", "measures the circuits of optimizer: spsa"),
        ("arms.qcbm={prior: bernoulli}", "trains no circuit"),
        ("arms.qcbm={prior: qcbm_frozen}", "trains no circuit"),
        ("arms.qcbm.entropy_weight=1", "entropy_weight"),
        ("arms.qcbm.update_every=10", "no update event"),
        ("qpu.arm=qcbn", "did you mean `qcbm`"),
        ("arms.qcbm.shots=20000", "is 20000; rehearsal takes 1 to 10000"),
        ("qpu.debiasing=true", "is 32; rehearsal takes 500 to 10000"),
        ("qpu.replicate=7", "has the replicates 0 to 1"),
        ("qpu.backend=qpus", "must be rehearsal"),
        ("grid.latent_dim=[3, 4]", "has 2 cells"),
        ("arms.qcbm.gains=nothing.json", "there is no file nothing.json"),
    ],
)
def test_what_cannot_be_run(write: Write, assignment: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence.replace("`", ".")):
        final(load(write(), [assignment]), None)
