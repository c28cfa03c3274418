"""A search that a test can afford: 3 qubits, 3 iterations, 12 x 12 pixels, in the test's own process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from study import patches, trainable
from study.gains.evaluation import Evaluation, Outcome
from study.gains.here import Here
from study.gains.journal import Journal
from study.gains.result import Result
from study.gains.run import calibrate, identity, search_gains
from study.gains.search import Search, Tried, require_same
from study.gains.start import start_job, state
from study.ledger import Ledger
from study.spec import load

FILE = """\
study: tiny
data: {{source: {patches}, evaluation: 40}}
arms:
  bernoulli: {{prior: bernoulli}}
  qcbm: {{prior: qcbm, backend: "exact:aria-2", optimizer: spsa, iterations: 3, shots: 16, update_every: 2,
         train_epochs: 4}}
baseline: bernoulli
grid: {{latent_dim: [3], images: [16], epochs: [4]}}
replicates: 1
train: {{batch_size: 8, width: 4}}
score: {{images: 20, window: 3}}
resources: {{cpu: 1}}
gains:
  arm: qcbm
  start_epoch: 2
  search: {{a: {{low: 0.001, high: 1000.0, log: true}}, c: {{low: 0.02, high: 0.8, log: true}}}}
  candidates: 9
  seeds: 3
  fresh_seeds: 3
  prune_after: 1
results: {results}
"""


class Counted(Here):
    """Knows how many evaluations it has run."""

    run = 0

    def wait(self) -> tuple[Evaluation, Outcome]:
        self.run += 1
        return super().wait()


@pytest.fixture
def gains_file(tmp_path: Path, patches_file: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(FILE.format(patches=patches_file, results=tmp_path / "results"))
    return path


def search_in_this_process(
    file: Path, *assignments: str, concurrency: int = 1, ended: Callable[[Tried], None] = lambda tried: None
) -> tuple[Search, Result | None, Counted]:
    """The whole of `study gains`, Ray and words left out."""
    study = load(file, assignments)
    ledger, pool = Ledger(study.folder), Counted()
    start = start_job(study, patches.file(study), ledger)
    require_same(Journal(ledger.storage), identity(study, start))
    if state(study, start, ledger) != "done":
        assert trainable.run(start, lambda epoch: None)
    calibration = calibrate(study, start, ledger, pool)
    found = search_gains(study, start, ledger, pool, Journal(ledger.storage), calibration, concurrency, ended)
    return *found, pool


@pytest.fixture
def search_here() -> Callable[..., tuple[Search, Result | None, Counted]]:
    return search_in_this_process
