"""Cycles in this process, one after the other, without Ray."""

from collections import deque

from study.gains import evaluation as evaluations
from study.gains.evaluation import Evaluation, Outcome


class Here:
    """A pool of one, for debugging and for machines without Ray."""

    def __init__(self) -> None:
        self.submitted: deque[Evaluation] = deque()

    def submit(self, evaluation: Evaluation) -> None:
        self.submitted.append(evaluation)

    def wait(self) -> tuple[Evaluation, Outcome]:
        evaluation = self.submitted.popleft()
        evaluations.run(evaluation)
        found = evaluations.outcome(evaluation)
        assert found is not None
        return evaluation, found
