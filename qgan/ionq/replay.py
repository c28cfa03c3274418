"""A recorded run, repeated without any machine: the journal's codes and losses, and nothing that is not in it."""

from pathlib import Path

from qgan.errors import InputError, Stopped
from qgan.ionq.jobs import require_same_point
from qgan.ionq.journal import Journal


class Replay:
    """In the place of the jobs of a run that is over."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError where there is no journal."""
        self.journal = Journal(folder)
        if self.journal.run is None:
            raise InputError(f"{folder} holds no journal of a run (run.json): name the folder of one")

    def begin_cycle(self, number: int) -> None:
        """Nothing happens."""

    def measure(self, call: int, theta: list[list[float]], shots: int) -> list[list[int]]:
        """The recorded codes (batch, shots); raises Stopped where the record ends or is of other angles."""
        codes = []
        for row, angles in enumerate(theta):
            order = self.journal.last(call, row)
            if order is None or "result" not in self.journal.orders[order]:
                raise Stopped(f"the journal {self.journal.folder} ends before call {call}, point {row}")
            records = self.journal.orders[order]
            require_same_point(order, records["intent"], angles, shots)
            codes.append(records["result"]["codes"])
        return codes

    def remember(self, call: int, losses: list[float]) -> list[float]:
        """What the optimiser was told then, whatever it would be told now."""
        before = self.journal.losses(call)
        if before is None:
            raise Stopped(f"the journal {self.journal.folder} ends before the losses of call {call}")
        return before
