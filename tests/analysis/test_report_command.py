"""`study report` with --figure and --export, on a synthetic ledger."""

import pandas as pd
import pytest
from click.testing import CliRunner

from study.cli import main


def study(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def test_a_figure_in_all_formats_lies_beside_the_results(written):
    folder = written()
    done = study("report", folder, "--figure", "4")
    assert done.exit_code == 0, done.output
    assert sorted(each.name for each in (folder / "figures").iterdir()) == [
        "improvement.csv", "improvement.png", "improvement.svg",
    ]  # fmt: skip
    assert done.output.count("figure: ") == 3
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("csv", b"arm,cell")])
def test_the_suffix_chooses_the_format(scored_study, tmp_path, suffix, start):
    path = tmp_path / f"mmd.{suffix}"
    done = study("report", scored_study, "--figure", "mmd", "--cell", "latent_dim=8", "-o", path)
    assert done.exit_code == 0, done.output
    assert path.read_bytes().startswith(start) and [*tmp_path.iterdir()] == [path]
    if suffix == "csv":
        assert set(pd.read_csv(path)["cell"]) == {"latent_dim=8, images=256"}


def test_export_writes_tables_and_their_columns(scored_study, tmp_path):
    done = study("report", scored_study, "--export", tmp_path / "tables")
    assert done.exit_code == 0, done.output
    assert {"effects.csv", "effects.parquet", "quality.csv", "columns.csv"} <= {
        each.name for each in (tmp_path / "tables").iterdir()
    }


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--figure", "9"], 1, "--figure 9: no such figure; there are: 2 or mmd-images, 3 or mmd"),
        (["--figure", "forrest"], 1, "did you mean forest?"),
        (["--figure", "3", "-o", "a.pdf"], 1, "a.pdf: a figure is written as .svg or .png"),
        (["--figure", "3", "-o", "nowhere/a.svg"], 1, "name a file in a folder that exists"),
        (["--figure", "3", "--cell", "latent_dim=9"], 1, "no cell fits latent_dim=9"),
        (["--cell", "latent_dim=8"], 2, "--cell needs --figure"),
        (["--export", "tables", "--figure", "3"], 2, "leave out --figure"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(finished_study, words, code, said):
    done = study("report", finished_study, *words)
    assert done.exit_code == code and said in done.output and "Traceback" not in done.output
