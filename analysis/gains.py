"""What `study gains` found in a study: the candidates, the best gains, and their losses beside the calibration's."""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from analysis.errors import ResultsError, UnreachableError
from analysis.location import Place, read_parquet
from analysis.tables import CANDIDATES, CYCLES

GAINS = ("a", "c", "A", "alpha", "gamma")


@dataclass(frozen=True)
class GainsSearch:
    """The tables of <results>/<study>/gains."""

    candidates: pd.DataFrame  # CANDIDATES
    cycles: pd.DataFrame  # CYCLES; empty until the search has come to its end
    found: dict[str, Any] | None  # gains.json; None until then

    @property
    def objective(self) -> str:
        """What was minimised, in words."""
        return "log MMD" if self.found is not None and self.found["objective"] == "log_mmd" else "final loss"


def read_gains(folder: Place) -> GainsSearch | None:
    """The search in a study's results folder; None where there was none, ResultsError where it is damaged."""
    home = folder / "gains"
    if not (home / "candidates.parquet").exists():
        return None
    try:
        candidates = _table(home / "candidates.parquet", CANDIDATES)
        if not (home / "gains.json").exists():
            return GainsSearch(candidates, CYCLES.empty_table().to_pandas(), None)
        cycles = _table(home / "cycles.parquet", CYCLES)
        found = json.loads((home / "gains.json").read_text())
        if not (isinstance(found, dict) and found["schema"] == 1):
            raise ValueError("another schema")
    except UnreachableError:
        raise
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        first = str(error).partition("\n")[0]
        raise ResultsError(f"{home}: is damaged ({first}); the command `study gains` writes it anew") from None
    return GainsSearch(candidates, cycles, found)


def _table(path: Place, schema: pa.Schema) -> pd.DataFrame:
    """A table of just these columns; KeyError where one is missing."""
    frame: pd.DataFrame = read_parquet(path, lambda file: file.read().select(schema.names).cast(schema)).to_pandas()
    return frame
