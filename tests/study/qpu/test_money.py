"""Nothing is ordered that was not confirmed."""

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from qgan.errors import InputError
from qgan.ionq.journal import Journal, Order
from qgan.ionq.machines import Machine
from qgan.ionq.prices import rates
from qgan.prior_settings import Gains
from study.cli import main
from study.commands.qpu import _allowed
from study.qpu.final import final
from study.qpu.money import bill
from study.qpu.replay import require_same, write_record
from study.spec import load

Write = Callable[..., Path]
ARIA = Machine("qpu.aria-2", "available", 25, False, None, None, ("ms",))


@pytest.mark.parametrize(
    ("backend", "cap", "yes", "typed", "allowed", "said"),
    [
        ("qpu.aria-2", None, False, "191 qpu.aria-2\n", 191.0, "type: 191 qpu.aria-2"),
        ("qpu.aria-2", 250.0, False, "191 qpu.aria-2\n", 250.0, ""),
        ("qpu.aria-2", None, False, "yes\n", None, "not confirmed, nothing is ordered"),
        ("qpu.aria-2", None, False, "191\n", None, "not confirmed"),
        ("qpu.aria-2", None, False, "", None, "--yes --max-usd"),
        ("qpu.aria-2", 200.0, True, "", 200.0, ""),
        ("qpu.aria-2", 100.0, True, "", None, "more than the cap of $100.00"),
        ("rehearsal", None, False, "", 191.0, "nothing is paid"),
        ("rehearsal", 10.0, False, "", None, "more than the cap"),
    ],
)
def test_confirmation(
    write: Write,
    tmp_path: Path,
    backend: str,
    cap: float | None,
    yes: bool,
    typed: str,
    allowed: float | None,
    said: str,
) -> None:
    found = final(load(write()), backend)
    planned = bill(found, ARIA, rates("qpu.aria-2"), Journal(tmp_path / "journal"))
    got: list[float | None] = []

    @click.command()
    def command() -> None:
        got.append(_allowed(found, planned, cap, yes))

    done = CliRunner().invoke(command, input=typed)
    assert done.exception is None
    assert got == [allowed]
    assert said in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--backend", "rehearsal", "--url", "https://api.ionq.co/v0.4"], "is rehearsed, at a server of this machine"),
        (["--backend", "qpu.aria-2", "--yes", "--max-usd", "nan"], "a cap of nan US dollars holds nothing back"),
        (["--backend", "qpu.aria-2", "--yes", "--max-usd", "inf"], "a cap of inf US dollars holds nothing back"),
    ],
)
def test_no_way_round_the_confirmation(write: Write, words: list[str], said: str) -> None:
    done = CliRunner().invoke(main, ["qpu", str(write()), *words])
    assert done.exit_code == 1
    assert said in done.output


def test_a_run_goes_on_with_its_own_settings_alone(write: Write) -> None:
    found = final(load(write()), None)
    other = final(load(write(), ["arms.qcbm.iterations=5"]), None)
    assert other.run_name != found.run_name
    write_record(found, found.folder / "mine", [])
    require_same(found.with_gains(Gains(1.0, 1.0)), found.folder / "mine")
    with pytest.raises(InputError, match=r"mine holds a run with another circuits \(15, not 23\)"):
        require_same(other, found.folder / "mine")


def test_what_is_on_its_way_is_not_billed_twice(write: Write, tmp_path: Path) -> None:
    found, journal = final(load(write()), "qpu.aria-2"), Journal(tmp_path / "journal")
    journal.folder.mkdir()
    planned = bill(found, ARIA, rates("qpu.aria-2"), journal)
    for call in range(5):
        journal.write(Order(call, 0, 1), "intent", {"usd": planned.one.usd})
    journal.write(Order(4, 0, 1), "void", {"reason": "called off"})
    for call in range(2):
        journal.write(Order(call, 0, 1), "result", {})
    later = bill(found, ARIA, rates("qpu.aria-2"), journal)
    assert (later.measured, later.ordered, later.to_order) == (2, 4, found.circuits - 4)
    assert later.usd == pytest.approx(planned.usd)
    assert "2 circuits are measured already, 2 more are ordered" in "\n".join(later.lines())
