"""Ray Tune runs the pending trials; the ledger remembers."""

import logging
import math
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

# read by Ray when it is imported: no logger files per trial, no usage reports, CPU trials see no GPU
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

import ray
from ray import tune
from ray.tune.search import Searcher

from qgan.errors import InputError
from study import cluster, trainable
from study.ledger import Ledger, failed
from study.nodes import slots
from study.progress import Progress
from study.sections import Resources
from study.trainable import Job

_REPORT_EVERY_S = 1.0
_RESTARTS = 2  # of a trial whose process died; it goes on from its checkpoint


def connect(address: str | None, resources: Resources) -> None:
    """Join the cluster at `address`, or start Ray in this machine's processes.

    Raises InputError where the cluster does not answer, or no node of it has what one trial needs.
    """
    if address is not None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        _probe(address)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        problem = str(error).splitlines()[0]
        if address is None:
            raise InputError(f"Ray does not start on this machine ({problem})") from None
        raise InputError(f"--address {address}: no Ray cluster answers there ({problem})") from None
    # Tune drains on SIGINT; a batch system sends SIGTERM and means the same
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(os.getpid(), signal.SIGINT))
    grows = cluster.growth() if address is not None else []
    # so many trials wait at once, or the autoscaler would start nodes one after the other
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(1 + slots(resources, grows)))
    nodes = cluster.nodes() + grows
    if not slots(resources, nodes):
        raise InputError(
            f"resources: a trial needs cpu {resources.cpu:g} and gpu {resources.gpu:g} on one node, but the largest "
            f"node offers cpu {max(node.cpus for node in nodes):g} and gpu {max(node.gpus for node in nodes):g}; "
            "lower `resources:` or join a larger cluster"
        )


def _probe(address: str) -> None:
    """Refuse an address where nothing listens, which Ray would ask for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not (colon and host and port.isdigit()):
        raise InputError(f"--address {address or '(empty)'}: write it as HOST:PORT, or `auto` on the cluster's head")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: no Ray cluster answers there ({error})") from None


class _Pending(Searcher):  # type: ignore[misc]
    """Hands out the pending trials in the plan's order."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(metric="epoch", mode="max")
        self.keys = list(keys)

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        return {"key": self.keys.pop(0)} if self.keys else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing to learn: the ledger holds the results."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to keep: a new run asks the ledger what is missing."""

    def restore(self, checkpoint_path: str) -> None:
        """See save."""


class _Watch(tune.Callback):  # type: ignore[misc]
    """Tells the progress display what Tune hears, and the ledger of trials whose process died."""

    def __init__(self, jobs: dict[str, Job], ledger: Ledger, progress: Progress) -> None:
        self.jobs, self.ledger, self.progress = jobs, ledger, progress

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks for a restore that we never ask for; a terminal cannot be pickled."""
        return {}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if not result.get("ended"):
            self.progress.epoch(trial.config["key"], result["epoch"], result["mmd_v"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        key = trial.config["key"]
        record = self.ledger.trial(key).record()
        if record is None or record.status == "running":
            return
        seconds = trial.last_result.get("seconds", math.nan)
        mmd = trial.last_result.get("mmd_v")
        if record.cause:
            self.progress.ended(key, "failed", record.cause["error"])
        else:
            score = f"MMD {mmd:.4g} (floor {trial.last_result['floor_v']:.4g}), " if mmd is not None else ""
            self.progress.ended(key, "done", f"{record.epoch} epochs, {score}{seconds:.0f} s")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        key = trial.config["key"]
        folder = self.ledger.trial(key)
        record = folder.record() or folder.begin(
            key, trial={}, command=self.jobs[key].command, provenance={"note": "the worker died before it began"}
        )
        raised = trial.get_error()
        error = f"the worker process died {_RESTARTS + 1} times (killed, or out of memory)"
        if raised is not None and not isinstance(raised, ray.exceptions.RayActorError):
            error = str(raised).strip().splitlines()[-1]
        folder.write_record(failed(record, error, record.epoch, str(raised or "")))
        self.progress.ended(key, "failed", error)


def sweep(jobs: Sequence[Job], ledger: Ledger, progress: Progress, resources: Resources) -> None:
    """Run the jobs on the connected cluster; returns when all have ended. Every outcome is in the ledger."""
    by_key = {job.planned.key: job for job in jobs}
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    storage = tempfile.mkdtemp(prefix="study-tune-")  # Tune's own notes, which nothing of ours reads
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(_run_on_worker, jobs=by_key), {"cpu": resources.cpu, "gpu": resources.gpu}
        ),
        tune_config=tune.TuneConfig(
            search_alg=_Pending(list(by_key)),
            num_samples=len(by_key),
            reuse_actors=True,  # seconds less per trial; every random stream is the trial's own
            trial_dirname_creator=lambda trial: str(trial.config["key"]),
        ),
        run_config=tune.RunConfig(
            name=started,
            storage_path=storage,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=_RESTARTS),
            callbacks=[_Watch(by_key, ledger, progress)],
        ),
    )
    logging.getLogger("ray.tune").setLevel(logging.ERROR)  # failures are rows of the ledger
    with progress:
        tuner.fit()
    shutil.rmtree(storage, ignore_errors=True)


def _run_on_worker(config: dict[str, Any], jobs: dict[str, Job]) -> None:
    """Tune's trainable: a thin coat over `trainable.run`."""
    reported = -math.inf
    result: dict[str, Any] = {"epoch": 0, "mmd_v": None}

    def watch(epoch: Any) -> None:
        nonlocal reported, result
        result = {name: getattr(epoch, name) for name in ("epoch", "seconds", "mmd_v", "floor_v")}
        if time.monotonic() - reported > _REPORT_EVERY_S:
            tune.report(result)
            reported = time.monotonic()

    trainable.run(jobs[config["key"]], watch)
    tune.report({**result, "ended": True})
