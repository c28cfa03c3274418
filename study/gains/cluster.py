"""Cycles on a Ray cluster, as many at once as fit; the ledger holds what they find."""

import ray

from study import ledger, provenance
from study.gains import evaluation as evaluations
from study.gains.evaluation import Evaluation, Outcome
from study.sections import Resources

_RESTARTS = 2  # of a cycle whose process died


class Cluster:
    """Runs evaluations on the connected cluster; one that the ledger knows is not run again."""

    def __init__(self, resources: Resources) -> None:
        # a worker is kept from cycle to cycle, on a GPU too: it has loaded torch and the networks
        self._run = ray.remote(num_cpus=resources.cpu, num_gpus=resources.gpu, max_retries=_RESTARTS, max_calls=0)(
            evaluations.run
        )
        self._running: dict[ray.ObjectRef, Evaluation] = {}

    def submit(self, evaluation: Evaluation) -> None:
        self._running[self._run.remote(evaluation)] = evaluation

    def wait(self) -> tuple[Evaluation, Outcome]:
        """The next evaluation that ends."""
        (reference,), _ = ray.wait([*self._running])
        evaluation = self._running.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except ray.exceptions.RayError as error:
            _died(evaluation, error)
        found = evaluations.outcome(evaluation)
        assert found is not None
        return evaluation, found


def _died(evaluation: Evaluation, error: Exception) -> None:
    folder = evaluation.trial_folder
    record = folder.record() or folder.begin(
        evaluation.key, trial=evaluation.describe(), command=provenance.command(), provenance={}
    )
    cause = f"the worker process died {_RESTARTS + 1} times (killed, or out of memory)"
    folder.write_record(ledger.failed(record, cause, 0, str(error)))
