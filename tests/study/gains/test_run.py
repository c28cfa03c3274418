"""A whole search over the ledger: nothing run twice, failures, fresh seeds, the winner's file, what is refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analysis.errors import ResultsError
from analysis.gains import read_gains
from analysis.inference import t_interval
from qgan.prior_settings import Gains
from study import patches, s3, trainable
from study.cli import main
from study.gains import evaluation
from study.gains.evaluation import outcome, run
from study.gains.run import evaluator
from study.gains.start import start_job
from study.ledger import Ledger
from study.spec import load

from ...s3_server import place


def refused(*words: object) -> str:
    """The one sentence of a refused command."""
    done = CliRunner().invoke(main, [*map(str, words)])
    assert done.exit_code == 1, done.output
    assert done.stderr.startswith("study: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_search_is_run_once_and_its_winner_is_an_arms_gains(gains_file: Path, search_here: Any) -> None:
    search, found, pool = search_here(gains_file)
    assert found is not None
    tried = search.tried()
    assert {each.state for each in tried} == {"done", "pruned"}
    cycles = sum(len(each.objectives) for each in tried)
    assert pool.run == 1 + cycles + 2 * 3
    trials = gains_file.parent / "results/tiny/trials"
    assert len(list(trials.iterdir())) == 1 + pool.run
    for each in trials.iterdir():
        record = json.loads((each / "trial.json").read_text())
        assert record["status"] == "done"
        assert len(record["attempts"]) == 1

    again, same, idle = search_here(gains_file)
    assert idle.run == 0
    assert again.tried() == tried
    assert same == found

    # select and confirm: the difference is that of the fresh seeds, pair by pair
    pairs = [old.losses[-1] - new.losses[-1] for old, new in zip(found.of_calibrated, found.of_best, strict=True)]
    assert found.improvement == t_interval(pairs)
    assert found.best.mean == min(each.mean for each in tried if each.state == "done")
    assert tried[0].candidate.gains == found.calibrated
    fresh = {each.losses for each in [*found.of_best, *found.of_calibrated]}
    assert not fresh & _search_cycles(gains_file.parent / "results/tiny")

    file = gains_file.parent / "results/tiny/gains/gains.json"
    written = json.loads(file.read_text())
    assert (written["latent_dim"], written["backend"], written["shots"]) == (3, "exact:aria-2", 16)
    assert written["ansatz"] == {"layers": 1, "connectivity": "full", "entangler": "rxx"}
    assert len(written["loss_curve"]) == len(written["calibrated"]["loss_curve"]) == 7
    assert written["provenance"]["packages"]["torch"]
    arm = load(gains_file, [f"arms.qcbm.gains={file}"]).arms["qcbm"].prior
    assert arm.gains == found.best.candidate.gains  # type: ignore[union-attr]

    tables = read_gains(gains_file.parent / "results/tiny")
    assert tables is not None
    assert tables.found == written
    assert tables.candidates["objective"].tolist() == [each.mean for each in tried]
    assert len(tables.cycles) == 2 * 3 * 7
    file.write_text("{}")
    with pytest.raises(ResultsError, match=r"is damaged .* `study gains` writes it anew"):
        read_gains(gains_file.parent / "results/tiny")


def _search_cycles(folder: Path) -> set[tuple[float, ...]]:
    """The losses of the cycles that chose the best, as the ledger has them."""
    ledger = Ledger(folder)
    found = [(ledger.trial(each).record(), ledger.trial(each).cycle()) for each in ledger.begun()]
    return {tuple(cycle["losses"]) for record, cycle in found if cycle and record.trial["seed"].startswith("search")}


def test_a_checkpoint_on_s3_is_fetched_once_for_many_cycles(
    gains_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    class Counted(s3.S3):
        def read(self, name: str) -> bytes:
            read.append(name)
            return super().read(name)

    monkeypatch.setattr(s3, "S3", Counted)
    monkeypatch.setattr(s3, "node_folder", lambda: tmp_path / "node")
    study = load(gains_file, [f"results={place()}"])
    ledger = Ledger(study.folder)
    start = start_job(study, patches.file(study), ledger)
    assert trainable.run(start, lambda epoch: None)
    evaluate = evaluator(study, start, ledger)
    read.clear()
    cycles = [evaluate(Gains(0.3, 0.2), 2, f"search {seed}") for seed in range(3)]
    for each in cycles:
        run(each)
        found = outcome(each)
        assert found is not None
        assert found.cause is None
    assert read.count("checkpoint.pt") == 1


def test_a_stopped_search_goes_on_and_many_at_once_try_as_many(
    gains_file: Path, tmp_path: Path, search_here: Any
) -> None:
    class Stopped(Exception):
        pass

    def stop(tried: object) -> None:
        raise Stopped

    whole, found, pool = search_here(gains_file)
    text = gains_file.read_text().replace("study: tiny", "study: other")
    other = tmp_path / "other.yaml"
    other.write_text(text)
    for _ in range(3):
        with pytest.raises(Stopped):
            search_here(other, ended=stop)
    again, same, rest = search_here(other)
    assert again.tried() == whole.tried()
    assert same is not None
    assert found is not None
    assert same.improvement == found.improvement
    assert rest.run < pool.run - 3

    many, _, _ = search_here(gains_file, "study=third", concurrency=4)
    assert len(many.tried()) == 9
    assert not [each for each in many.tried() if each.state == "running"]


def test_a_candidate_whose_cycle_fails_counts_as_failed(gains_file: Path, search_here: Any) -> None:
    """Networks that run away in the continuation fail; a calibration that fails ends the search."""
    words = ("gains.objective=log_mmd", "gains.continuation=2", "gains.candidates=3", "gains.prune_after=0")
    search, found, _ = search_here(gains_file, *words, "study=mmd")
    assert found is not None
    assert all(math.isfinite(each.mean) for each in search.tried())
    assert found.of_best[0].objective(3) == pytest.approx(math.log(sum(found.of_best[0].mmds) / 2))
    results = gains_file.parent / "results/mmd"
    (results / "gains/gains.json").unlink()  # as while the search runs
    running = read_gains(results)
    assert running is not None
    assert (running.found, running.objective) == (None, "log MMD")

    # the checkpoint is away while a new worker begins candidate 1: it fails, and the others go on
    broken, ended = gains_file.parent / "results/bad/trials", []

    def damage(tried: object) -> None:
        ended.append(tried)
        evaluation._kept.clear()
        for each in broken.glob("*/checkpoint.pt"):
            if len(ended) == 1:
                each.rename(each.with_name("away"))
        if len(ended) == 2:
            for each in broken.glob("*/away"):
                each.rename(each.with_name("checkpoint.pt"))

    search, found, _ = search_here(gains_file, "study=bad", "gains.candidates=3", ended=damage)
    assert [each.state for each in search.tried()][:2] == ["done", "failed"]
    assert search.tried()[1].cause
    assert found is not None
    assert found.best.candidate.number != 1


def test_two_objectives(gains_file: Path, search_here: Any) -> None:
    search, found, _ = search_here(
        gains_file, "gains.count_circuits=true", "gains.candidates=6", "arms.qcbm.iterations=6"
    )
    assert found is not None
    front = [search.tried()[number] for number in search.front()]
    assert {each.circuits for each in search.tried()} == {2 * each.candidate.iterations + 1 for each in search.tried()}
    assert front == sorted(front, key=lambda each: each.candidate.number)
    tables = read_gains(gains_file.parent / "results/tiny")
    assert tables is not None
    assert tables.candidates["on_front"].sum() == len(front)


def test_what_is_refused_before_anything_runs(gains_file: Path, search_here: Any) -> None:
    text = gains_file.read_text()
    cases = {
        "high: 1000.0": ("high: 0.0001", "gains.search.a.high: must be above low = 0.001, not 0.0001"),
        "search: {a:": ("search: {b:", "gains.search.b: unknown key; allowed: a, c, A, alpha, gamma"),
        "arm: qcbm": ("arm: qcmb", "did you mean `qcbm`?"),
        "start_epoch: 2": ("start_epoch: 0", "start_epoch"),
        "optimizer: spsa": ("optimizer: gd", "give it optimizer: spsa"),
        "gains:\n  arm": ("qpu:\n  arm", ""),
    }
    for old, (new, told) in cases.items():
        assert old in text
        gains_file.write_text(text.replace(old, new))
        assert told in refused("gains", gains_file), new
    gains_file.write_text(text[: text.index("gains:\n")])
    assert "has no section `gains:`" in refused("gains", gains_file)
    assert [each.name for each in gains_file.parent.iterdir()] == ["tiny.yaml"]

    gains_file.write_text(text)
    unscored = ("gains.objective=log_mmd", "gains.continuation=1", "score.every=4")
    told = refused("gains", gains_file, *(word for each in unscored for word in ("--set", each)))
    assert "gains.continuation: none of the epochs 3 to 3 is scored" in told
    dry = CliRunner().invoke(main, ["gains", str(gains_file), "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "9 candidates x 3 seeds" in dry.stdout
    assert "at most: 2 epochs of" in dry.stdout
    assert [each.name for each in gains_file.parent.iterdir()] == ["tiny.yaml"]

    search_here(gains_file, "gains.candidates=1")
    assert "other: search" in refused("gains", gains_file, "--set", "gains.search.a.high=7.0")
    assert "other: start_epoch, networks and data" in refused("gains", gains_file, "--set", "gains.start_epoch=1")
    (checkpoint,) = (gains_file.parent / "results/tiny/trials").glob("*/checkpoint.pt")
    checkpoint.write_bytes(b"half")
    assert "not a whole checkpoint" in refused("gains", gains_file)
    checkpoint.unlink()
    assert "holds no checkpoint.pt; remove the folder" in refused("gains", gains_file)
