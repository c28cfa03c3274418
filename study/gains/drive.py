"""The loop between the search, which says what to try, and the pool, which tries it."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from qgan.prior_settings import Gains
from study.gains import evaluation as evaluations
from study.gains.evaluation import Evaluation, Outcome
from study.gains.search import Candidate, Search, Tried

# gains (None: calibrated by the cycle), iterations and the name of a seed -> what to run
Evaluate = Callable[[Gains | None, int, str], Evaluation]


class Pool(Protocol):
    """Where evaluations run, some at once."""

    def submit(self, evaluation: Evaluation) -> None: ...

    def wait(self) -> tuple[Evaluation, Outcome]:
        """The next one that ends."""
        ...


@dataclass
class _Open:
    """A candidate under evaluation."""

    candidate: Candidate
    asked: int = 0  # seeds handed to the pool
    outcomes: dict[int, Outcome] = field(default_factory=dict)  # by seed


def drive(
    search: Search, pool: Pool, evaluate: Evaluate, window: int, concurrency: int, ended: Callable[[Tried], None]
) -> None:
    """Try candidates until the search has no more, `concurrency` of them at once, the seeds of one side by side.

    `ended` is told of every candidate that is done, pruned or failed.
    """
    adopted = deque(search.begun())
    queue = _Queue(pool)
    opened: dict[int, _Open] = {}

    def hand_out(each: _Open) -> None:
        first = search.settings.prune_after
        upto = first if each.asked < first else search.settings.seeds
        for seed in range(each.asked, min(upto, search.settings.seeds)):
            candidate = each.candidate
            evaluation = evaluate(candidate.gains, candidate.iterations, f"search {seed}")
            queue.submit((candidate.number, seed), evaluation)
            each.asked = seed + 1

    while True:
        while len(opened) < concurrency:
            candidate = adopted.popleft() if adopted else search.ask()
            if candidate is None:
                break
            opened[candidate.number] = _Open(candidate)
            hand_out(opened[candidate.number])
        if not opened:
            return
        (number, seed), outcome = queue.wait()
        each = opened.get(number)
        if each is None:
            continue  # it has failed meanwhile
        each.outcomes[seed] = outcome
        if _settled(search, each, window):
            del opened[number]
            ended(search.tried()[number])
        elif len(each.outcomes) == each.asked:
            hand_out(each)


def _settled(search: Search, each: _Open, window: int) -> bool:
    """Whether nothing more is to be asked about a candidate; the search is told."""
    cause = next((found.cause for found in each.outcomes.values() if found.cause is not None), None)
    if cause is not None:
        search.fail(each.candidate, cause)
        return True
    if len(each.outcomes) < each.asked:
        return False
    objectives = [each.outcomes[seed].objective(window) for seed in sorted(each.outcomes)]
    circuits = each.outcomes[0].circuits
    every = len(objectives) == search.settings.seeds
    if every or search.hopeless(each.candidate, objectives):
        search.tell(each.candidate, objectives, circuits, pruned=not every)
        return True
    return False


def evaluate_all(named: Sequence[Evaluation], pool: Pool) -> list[Outcome]:
    """The outcomes of these evaluations, in their order."""
    queue = _Queue(pool)
    for number, each in enumerate(named):
        queue.submit((number, 0), each)
    found = dict(queue.wait() for _ in named)
    return [found[number, 0] for number in range(len(named))]


class _Queue:
    """What the ledger knows comes first and is not run again."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.known: deque[tuple[tuple[int, int], Outcome]] = deque()
        self.names: dict[str, tuple[int, int]] = {}  # by key

    def submit(self, name: tuple[int, int], evaluation: Evaluation) -> None:
        found = evaluations.outcome(evaluation)
        if found is not None:
            self.known.append((name, found))
        else:
            self.names[evaluation.key] = name
            self.pool.submit(evaluation)

    def wait(self) -> tuple[tuple[int, int], Outcome]:
        if self.known:
            return self.known.popleft()
        while True:
            evaluation, found = self.pool.wait()
            if evaluation.key in self.names:  # not one that was left over by a candidate that had failed
                return self.names[evaluation.key], found
