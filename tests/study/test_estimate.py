"""What `study plan` says of time, money, memory and power, against independent counts."""

import json
import math
import re
import weakref
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from analysis.power import Design, Spread, smallest_p
from analysis.records import SCHEMA, TrialRecord
from qgan.prior_settings import BernoulliSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.trial import Trial
from qgan.wgan import Wgan
from study.estimate import describe_cost, describe_power, work
from study.ledger import Ledger
from study.memory import generation_bytes, network_bytes, peak_bytes, step_bytes
from study.nodes import Node, slots
from study.pace import from_ledger
from study.plan import Look, Planned, trials
from study.prices import PRICES, list_price
from study.sections import Resources
from study.spec import Study, load


@pytest.mark.parametrize("pairs", [2, 6, 20])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_the_detectable_effect_of_one_cell_has_the_power_it_names(pairs: int, correlation: float) -> None:
    effect = Design(pairs).detectable(Spread(0.2, correlation))
    rng = np.random.default_rng(0)
    shared = math.sqrt(correlation) * rng.normal(size=(20_000, pairs))
    arms = [0.2 * (shared + math.sqrt(1 - correlation) * rng.normal(size=(20_000, pairs))) for _ in range(2)]
    found = stats.ttest_1samp(arms[0] - arms[1] + effect, 0, axis=1)
    assert np.mean((found.pvalue < 0.05) & (found.statistic > 0)) == pytest.approx(0.8, abs=0.015)


def test_the_detectable_effect_over_cells_counts_their_differences_too() -> None:
    effect = Design(6, 10).detectable(Spread(0.2, 0.0, 0.3))
    rng = np.random.default_rng(0)
    cells = effect + 0.3 * rng.normal(size=(20_000, 10)) + 0.2 * math.sqrt(2 / 6) * rng.normal(size=(20_000, 10))
    assert np.mean(stats.ttest_1samp(cells, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.015)
    assert Design(1).detectable(Spread(0.2)) == math.inf


@pytest.mark.parametrize("differences", [2, 5, 6, 10])
def test_the_smallest_p_is_that_of_the_exact_test(differences: int) -> None:
    sample = np.arange(1.0, differences + 1)
    exact = stats.permutation_test((sample,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert smallest_p(differences) == pytest.approx(exact)
    assert (smallest_p(differences) < 0.05) == (differences >= 6)


class Live(TorchDispatchMode):
    """Counts the bytes of all tensors alive, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, torch.Tensor) and each.untyped_storage()._cdata not in self.sizes:
                storage = each.untyped_storage()
                self.sizes[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, storage._cdata)
        return result

    def _gone(self, key: int) -> None:
        self.now -= self.sizes.pop(key)


@pytest.mark.parametrize(
    ("shape", "train"),
    [
        ((5, 60, 60), TrainSettings(batch_size=16, width=8)),
        ((5, 32, 32), TrainSettings(batch_size=32, width=16)),
        ((5, 32, 32), TrainSettings(batch_size=8, width=16, depth=3, ema=0.9, gaussian_dims=4)),
        ((5, 32, 32), TrainSettings(batch_size=32, width=16, precision="bfloat16")),
    ],
)
def test_memory_against_a_count_of_living_tensors(shape: tuple[int, int, int], train: TrainSettings) -> None:
    batch = train.batch_size
    trial = Trial(DataSettings("none", 4), 8, batch, 0, BernoulliSettings(), train, ScoreSettings(2))
    with Live() as live:
        wgan = Wgan(trial, shape, torch.device("cpu"))
        noise = torch.ones(600, train.gaussian_dims)
        codes = torch.ones(600, 8)
        given = torch.zeros(batch, *shape, dtype=torch.uint8), wgan.inputs(codes[:batch], noise[:batch])
        share = torch.rand(batch, 1, 1, 1)
        for _ in range(2):  # the first one makes the moments of Adam
            before = live.now
            wgan.step(*given, share, None, generator=True)
        step, held = live.peak, live.now
        live.peak = live.now
        wgan.generate(codes, noise)
        made = live.peak - held
    assert network_bytes(train, 8, shape) == pytest.approx(before, rel=0.2)
    assert step_bytes(train, shape) == pytest.approx(step - before, rel=0.2)
    assert generation_bytes(train, shape) == pytest.approx(made, rel=0.25)
    total = peak_bytes(train, ScoreSettings(100), 8, 1000, shape)
    assert total > step_bytes(train, shape) + network_bytes(train, 8, shape) + 1000 * math.prod(shape)


@pytest.mark.parametrize(
    ("resources", "nodes", "expected"),
    [
        (Resources(2, 0), [Node(5, 0)], 2),
        (Resources(2, 0.25), [Node(16, 2)], 8),
        (Resources(2, 0.25), [Node(6, 2)], 3),
        (Resources(1, 0.4), [Node(16, 2)], 4),
        (Resources(1, 0.5), [Node(16, 0), Node(4, 1)], 2),
        (Resources(2, 0), [Node(1, 0), Node(1, 0)], 0),
    ],
)
def test_trials_that_fit_at_once(resources: Resources, nodes: list[Node], expected: int) -> None:
    assert slots(resources, nodes) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("Tesla T4", "T4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("GT 710", None),
    ],
)
def test_list_prices_by_the_drivers_name(name: str, kind: str | None) -> None:
    price = list_price(name)
    assert (price.kind if price else None) == kind
    assert all(each.date.startswith("20") and each.source.startswith("https://") for each in PRICES)


def write_trial(study: Study, each: Planned, epochs: int, seconds: float, horizon: int = 0) -> None:
    """A trial of so many epochs of `seconds` each on an A100."""
    attempt = {
        "start": "2026-01-01T00:00:00+00:00",
        "last_seen": "2026-01-01T10:00:00+00:00",
        "host": "none",
        "process": 1,
        "gpu": "NVIDIA A100-SXM4-80GB",
        "usd_per_hour": None,
        "checkpoint": epochs,
    }
    rest: tuple[Any, ...] = ([attempt], None, [], "study trial", {}, {}, epochs * seconds)
    record = TrialRecord(each.key, "running", epochs, horizon, *rest)
    folder = Ledger(study.folder).trial(each.key)
    folder.checkpoint.write_bytes(b"")
    folder.storage.write("trial.json", json.dumps({"schema": SCHEMA, **asdict(record)}).encode())


def test_time_and_money_from_the_ledger(study_file: Path) -> None:
    text = study_file.read_text().replace("cpu: 1", "cpu: 1, gpu: 0.5").replace("epochs: [6]", "epochs: [6, 3600]")
    study_file.write_text(text + "budget: {gpu_hours: 30, usd: 40}\n")
    study = load(study_file)
    planned = trials(study)
    keys = [each.key for each in planned]
    small = [each for each in planned if each.cell["images"] == 16]
    write_trial(study, small[0], 6, 2.0, 6)
    ledger = Ledger(study.folder)
    here = Look(study, planned, ledger, ledger.look(keys, 3600))
    left = work(here)
    assert left == {each.key: 3594 if each is small[0] else 3600 for each in planned}  # checkpoints are continued
    pace = from_ledger(here)
    assert pace is not None
    large = planned[-1].cell_name
    assert pace.of(small[0].cell_name, "qcbm") == pytest.approx(2.0)
    assert pace.of(large, "qcbm") == pytest.approx(4.0)  # twice the images
    hours = (4 * 3600 * 2.0 + 4 * 3600 * 4.0 - 6 * 2.0) / 3600
    rate = next(price.usd_per_hour for price in PRICES if price.kind == "A100")
    lines = "\n".join(describe_cost(here, left, pace, [Node(4, 2)]))
    assert f"about {hours / 2:.3g} GPU-hours" in lines
    assert f"about {hours / 4:.3g} hours, 4 at once" in lines
    assert f"${hours / 2 * rate:.2f} at" in lines
    assert "30 GPU-hours, 5 spent, about 12 to come: enough" in lines
    assert f"{(5 + hours / 2) * rate - 40:.3g} too little" in lines
    own = load(study_file, ["budget.usd_per_gpu_hour=1"])
    assert "at $1.00 per GPU-hour (budget.usd_per_gpu_hour)" in "\n".join(
        describe_cost(replace(here, study=own), left, pace, [Node(4, 2)])
    )


def test_cells_of_other_networks_that_nobody_measured_are_named(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("epochs: [6]", "epochs: [3600], width: [4, 8]"))
    study = load(study_file)
    planned = trials(study)
    keys = dict.fromkeys(each.key for each in planned)
    small = next(each for each in planned if each.cell["width"] == 4)
    write_trial(study, small, 6, 2.0)
    ledger = Ledger(study.folder)
    here = Look(study, planned, ledger, ledger.look(keys, 3600))
    (line,) = describe_cost(here, work(here), from_ledger(here), [Node(4, 0)])
    assert re.match(r"at least [\d.]+ CPU-hours .*, by this study's own trials; nothing is known of .*width=8", line)
    assert "width=4" not in line
    assert "--probe" in line


@pytest.mark.parametrize(
    ("baseline", "other", "words"),
    [
        ("6", "6", "smallest p of such a test is 2/2^2"),
        ("5", "5", "fewer than 6 pairs"),
        ("20", "1", "1/21 = 0.048"),
        ("2", "{first: 2, count: 2}", "no pairs"),
        ("3", "{first: 1, count: 3}", "2 cells x 2 pairs"),
    ],
)
def test_what_a_design_can_show(study_file: Path, baseline: str, other: str, words: str) -> None:
    text = study_file.read_text().replace("replicates: 2", f"replicates: {baseline}")
    study_file.write_text(text.replace("gradient: exact", f"replicates: {other}, gradient: exact"))
    assert words in "\n".join(describe_power(load(study_file)))
