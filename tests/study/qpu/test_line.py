"""First come, first served; the silent lose their place; a new holder of the same run takes it over."""

from pathlib import Path

from study.qpu.line import Line, Turn


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def names(turns: list[Turn]) -> list[str]:
    return [turn.who for turn in turns]


def test_the_second_waits_and_hears_for_whom() -> None:
    line = Line(10, Clock())
    assert line.ask("run a", "1", "anna") == []
    assert names(line.ask("run b", "2", "bert")) == ["anna"]
    assert names(line.ask("run c", "3", "carl")) == ["anna", "bert"]
    line.leave("1")
    assert line.ask("run b", "2", "bert") == []
    assert names(line.ask("run c", "3", "carl")) == ["bert"]


def test_a_holder_that_is_silent_loses_its_place() -> None:
    clock = Clock()
    line = Line(10, clock)
    line.ask("run a", "1", "anna")
    line.ask("run b", "2", "bert")
    clock.now = 9
    assert line.beat("2")
    clock.now = 11
    assert line.ask("run b", "2", "bert") == []
    assert not line.beat("1")
    assert names(line.ask("run a", "1", "anna")) == ["bert"]


def test_a_killed_holder_is_followed_by_the_next_of_its_own_run_at_once() -> None:
    line = Line(10, Clock())
    line.ask("run a", "1", "anna")
    line.ask("run b", "2", "bert")
    assert line.ask("run a", "3", "anna again") == []
    assert line.replaced == {"1"}
    assert not line.beat("1")
    assert names(line.ask("run b", "2", "bert")) == ["anna again"]
    assert line.first is not None
    assert line.first.holder == "3"


def test_an_actor_started_anew_finds_the_line_as_it_was(tmp_path: Path) -> None:
    clock = Clock()
    line, again = Line(10, clock), Line(10, clock)
    line.ask("run a", "1", "anna")
    line.ask("run b", "2", "bert")
    line.keep(tmp_path / "folder" / "line.json")
    clock.now = 100
    again.recall(tmp_path / "folder" / "line.json")
    assert names(again.ask("run b", "2", "bert")) == ["anna"]
    assert again.ask("run a", "1", "anna") == []
    (tmp_path / "torn.json").write_text("[[")
    again.recall(tmp_path / "torn.json")
    assert again.first is None
