"""What `study gains` found in a study: the candidates, the best gains, and their losses beside the calibration's."""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from analysis.errors import ResultsError, UnreachableError
from analysis.location import Place, read_parquet
from analysis.tables import CANDIDATES, CYCLES, OBJECTIVE_KEY

GAINS = ("a", "c", "A", "alpha", "gamma")
_OBJECTIVES = {"loss": "final loss", "log_mmd": "log MMD"}


@dataclass(frozen=True)
class GainsSearch:
    """The tables of <results>/<study>/gains."""

    candidates: pd.DataFrame  # CANDIDATES
    cycles: pd.DataFrame  # CYCLES; empty until the search has come to its end
    found: dict[str, Any] | None  # gains.json; None until then
    objective: str  # what is minimised, in words


def read_gains(folder: Place) -> GainsSearch | None:
    """The search in a study's results folder; None where there was none, ResultsError where it is damaged."""
    home = folder / "gains"
    if not (home / "candidates.parquet").exists():
        return None
    try:
        tried = _table(home / "candidates.parquet", CANDIDATES)
        objective = (tried.schema.metadata or {}).get(OBJECTIVE_KEY, b"").decode()
        cycles, found = CYCLES.empty_table(), None
        if (home / "gains.json").exists():
            cycles = _table(home / "cycles.parquet", CYCLES)
            found = json.loads((home / "gains.json").read_text())
            if not (isinstance(found, dict) and found["schema"] == 1):
                raise ValueError("another schema")
            objective = objective or found["objective"]
    except UnreachableError:
        raise
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        first = str(error).partition("\n")[0]
        raise ResultsError(f"{home}: is damaged ({first}); the command `study gains` writes it anew") from None
    return GainsSearch(tried.to_pandas(), cycles.to_pandas(), found, _OBJECTIVES.get(objective, "objective"))


def _table(path: Place, schema: pa.Schema) -> pa.Table:
    """A table of just these columns, with the file's metadata; KeyError where one is missing."""
    table = read_parquet(path, lambda file: file.read().select(schema.names))
    return table.cast(schema.with_metadata(table.schema.metadata))
