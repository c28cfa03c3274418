"""What arXiv 2504.08728 reports of QCBM against Bernoulli, to be drawn and printed beside a study's own numbers."""

from dataclasses import dataclass

import numpy as np

from analysis.inference import binomial_p, clopper_pearson
from analysis.wording import p_text


@dataclass(frozen=True)
class Published:
    """Relative improvement (Eq. 10) of one microstructure over its cells."""

    low: float  # per cent, of the least improved cell
    high: float  # per cent
    wins: int | None = None  # cells with a positive improvement; None where their number is not given
    cells: int | None = None

    @property
    def log_ratios(self) -> tuple[float, float]:
        """low and high as log(MMD_B / MMD_Q)."""
        return float(np.log1p(self.low / 100)), float(np.log1p(self.high / 100))

    @property
    def text(self) -> str:
        """The range and the win rate in words."""
        span = f"{self.low:+g} % to {self.high:+g} %".replace("-", "−")
        if self.wins is None or self.cells is None:
            return f"{span}, every cell positive"
        low, high = clopper_pearson(self.wins, self.cells)
        return (
            f"{span}, {self.wins} of {self.cells} cells positive (95 % interval {100 * low:.0f} % to "
            f"{100 * high:.0f} %, two-sided {p_text(binomial_p(self.wins, self.cells))})"
        )


PUBLISHED = {"ferrite": Published(22, 99), "bainite": Published(-45, 150, wins=7, cells=10)}
