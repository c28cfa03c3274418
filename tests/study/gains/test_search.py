"""Ask and tell over the journal: kills at every write, failures, pruning, two objectives, other searches."""

import dataclasses
import math
from itertools import count

import optuna
import pytest
from optuna.storages import JournalStorage

from qgan.errors import InputError
from qgan.prior_settings import Gains
from study.gains.journal import Journal
from study.gains.search import Candidate, Search, require_same
from study.sections import GainRanges, GainsSearch, Range

SETTINGS = GainsSearch(
    arm="qcbm",
    search=GainRanges(a=Range(0.01, 10.0, log=True), c=Range(0.02, 0.8, log=True), alpha=Range(0.4, 1.0)),
    start_epoch=2,
    candidates=14,
    seeds=3,
    prune_after=2,
)
CALIBRATED = Gains(0.2, 0.1)


class Killed(Exception):
    """The process ends here."""


class Memory:
    """A storage that dies before its `last` write."""

    def __init__(self, last: float = math.inf) -> None:
        self.objects: dict[str, bytes] = {}
        self.left = last

    def __str__(self) -> str:
        return "memory"

    def read(self, name: str) -> bytes:
        if name not in self.objects:
            raise FileNotFoundError(name)
        return self.objects[name]

    def write(self, name: str, content: bytes) -> None:
        if self.left <= 0:
            raise Killed
        self.left -= 1
        self.objects[name] = content


def search_in(memory: Memory, settings: GainsSearch = SETTINGS) -> Search:
    return Search(Journal(memory), settings, {"seed": settings.seed}, CALIBRATED, 50)  # type: ignore[arg-type]


def objective(gains: Gains, seed: int) -> float:
    return (math.log(gains.a) - 1) ** 2 + (gains.c - 0.3) ** 2 + (gains.alpha - 0.7) ** 2 + 0.1 * math.sin(7.0 * seed)


def run(search: Search) -> list[Candidate]:
    """The rest of a search, one candidate after the other; what it tried."""
    tried = search.begun()
    for number in count():
        if number >= len(tried):
            following = search.ask()
            if following is None:
                return tried
            tried.append(following)
        found = [objective(tried[number].gains, seed) for seed in range(3)]
        if search.hopeless(tried[number], found[:2]):
            search.tell(tried[number], found[:2], 101, pruned=True)
        else:
            search.tell(tried[number], found, 101)
    raise AssertionError


def table(search: Search) -> list[tuple[object, ...]]:
    return [(each.candidate, each.state, each.objectives) for each in search.tried()]


def test_killed_at_any_write_the_search_ends_as_if_never_killed() -> None:
    memory = Memory()
    whole = search_in(memory)
    run(whole)
    assert len({each.candidate for each in whole.tried()}) == SETTINGS.candidates
    assert {each.state for each in whole.tried()} == {"done", "pruned"}
    writes = len(Journal(memory).logs)  # type: ignore[arg-type]
    assert writes > 80
    for last in range(0, writes, 5):
        killed = Memory(last)
        with pytest.raises(Killed):
            run(search_in(killed))
        killed.left = math.inf
        again = search_in(killed)
        run(again)
        assert table(again) == table(whole), last


def test_suggestions_depend_on_the_seed_alone() -> None:
    found = [run(search_in(Memory())) for _ in range(2)]
    assert found[0] == found[1]
    other = run(search_in(Memory(), dataclasses.replace(SETTINGS, seed=1)))
    assert not {each.gains for each in other[1:]} & {each.gains for each in found[0]}


def test_more_candidates_continue_a_search() -> None:
    memory = Memory()
    short = run(search_in(memory, dataclasses.replace(SETTINGS, candidates=9)))
    assert run(search_in(memory)) == run(search_in(Memory()))[9:]
    assert len(short) == 9
    assert len(search_in(memory).tried()) == 14


def test_the_search_starts_from_the_calibration_where_it_lies_in_the_ranges() -> None:
    first = search_in(Memory()).ask()
    assert first is not None
    assert first.gains == CALIBRATED
    narrow = dataclasses.replace(SETTINGS, search=GainRanges(a=Range(1.0, 2.0)))
    search = search_in(Memory(), narrow)
    assert not search.starts_calibrated
    first = search.ask()
    assert first is not None
    assert 1 <= first.gains.a <= 2
    assert dataclasses.replace(first.gains, a=0.2) == CALIBRATED  # gains that are not searched


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_a_failure_and_never_the_best(number: float) -> None:
    memory = Memory()
    search = search_in(memory)
    bad = search.ask()
    assert bad is not None
    assert not search.hopeless(bad, [number])
    search.tell(bad, [-100.0, number, 0.0], 101)
    assert search.best() is None
    run(search)
    best = search.best()
    assert best is not None
    assert best.candidate != bad
    study = optuna.load_study(study_name="gains", storage=JournalStorage(Journal(memory)))  # type: ignore[arg-type]
    assert study.trials[0].state.name == "FAIL"
    assert not [each for each in study.trials if not each.state.is_finished()]


def test_the_best_is_near_the_optimum_and_a_is_what_matters() -> None:
    search = search_in(Memory(), dataclasses.replace(SETTINGS, candidates=40))
    run(search)
    best = search.best()
    assert best is not None
    assert best.mean < 0.2 < search.tried()[0].mean
    assert best.error == pytest.approx(0.1 * math.sqrt(sum((math.sin(7 * s) - sum(map(math.sin, (0, 7, 14))) / 3) ** 2
                                                           for s in range(3)) / 2 / 3))  # fmt: skip
    importance = search.importance()
    assert max(importance, key=lambda name: importance[name]) == "a"


def test_two_objectives_have_a_front_and_no_pruning() -> None:
    search = search_in(Memory(), dataclasses.replace(SETTINGS, count_circuits=True))
    while (candidate := search.ask()) is not None:
        assert 5 <= candidate.iterations <= 50
        found = [objective(candidate.gains, seed) + 3 / candidate.iterations for seed in range(3)]
        assert not search.hopeless(candidate, [1e9])
        search.tell(candidate, found, 2 * candidate.iterations + 1)
    tried = search.tried()
    points = {each.candidate.number: (each.mean, each.circuits) for each in tried}
    beaten = {n for n, p in points.items() for q in points.values() if q != p and q[0] <= p[0] and q[1] <= p[1]}
    assert set(search.front()) == set(points) - beaten
    assert search.importance()


def test_another_search_and_a_damaged_journal_are_refused() -> None:
    memory = Memory()
    identity = {"seed": 0, "ranges": {"a": (1, 2)}}
    assert require_same(Journal(memory), identity) == 0  # type: ignore[arg-type]
    run(Search(Journal(memory), SETTINGS, identity, CALIBRATED, 50))  # type: ignore[arg-type]
    assert require_same(Journal(memory), identity) == 14  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"another search \(other: ranges\)"):
        require_same(Journal(memory), {"seed": 0, "ranges": {"a": (1, 3)}})  # type: ignore[arg-type]
    for text in (b"no journal", b"\xff", b"[1]\n", b'{"a": 1}\n'):
        memory.write("gains/journal.log", text)
        with pytest.raises(InputError, match="remove it to search anew"):
            Journal(memory)  # type: ignore[arg-type]
