"""Tables of `study trial --downstream` in the report."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import load
from analysis.downstream import downstream_gains
from analysis.report import write_report
from analysis.synthetic import write_study
from analysis.tables import DOWNSTREAM


def write(folder, rows):
    folder.mkdir(parents=True)
    columns = dict(zip(DOWNSTREAM.names, map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns, schema=DOWNSTREAM), folder / "downstream.parquet")


@pytest.fixture
def results(tmp_path):
    return load(write_study(tmp_path / "study"))


def test_the_gain_is_that_of_the_same_seeds(results):
    real, both = [0.5, 0.9, 0.7], [0.6, 1.0, 0.8]  # far apart over seeds, alike within them
    rows = [(4, seed, "real", "cnn", x, x, 50, 123) for seed, x in enumerate(real)]
    rows += [(4, seed, "real+synthetic", "cnn", x, x, 50, 123) for seed, x in reversed(list(enumerate(both)))]
    rows += [(0, seed, "synthetic", "cnn", 0.6, 0.6, 50, 123) for seed in range(3)]
    key = results.plan.trials[0].key
    write(results.folder / "debug" / key, rows)
    alone, found = downstream_gains(results).to_dict("records")
    assert (found["k"], found["seeds"], found["parameters"]) == (4, 3, 123)
    assert found["gain"] == pytest.approx(0.1) and found["gain_sd"] == pytest.approx(0, abs=1e-12)
    assert found["real"] == pytest.approx(np.mean(real)) and found["both"] == pytest.approx(np.mean(both))
    assert alone["synthetic"] == pytest.approx(0.6) and np.isnan(alone["gain"])
    assert found["trial"].startswith(results.plan.trials[0].arm)


def test_the_report_has_the_section_where_there_is_a_table(results, tmp_path):
    def page():
        return write_report(load(results.folder), tmp_path / "report.html").read_text()

    assert "Worth to a classifier" not in page()
    write(results.folder / "debug" / "0123456789abcdef", [(4, 0, "real", "cnn", 0.8125, 0.8125, 50, 123)])
    torn = results.folder / "debug" / "torn" / "downstream.parquet"
    torn.parent.mkdir()
    torn.write_bytes(b"PAR1")
    shown = page()
    assert "Worth to a classifier" in shown and "0123456789abcdef" in shown and "0.812" in shown
