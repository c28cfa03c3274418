"""Results at a URI are read as those in a folder: through pyarrow's filesystems."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow.fs import LocalFileSystem

from analysis.effects import compare
from analysis.errors import ResultsError, UnreachableError
from analysis.location import Remote, is_uri, locate
from analysis.quality import full_scores
from analysis.results import load
from analysis.tables import read_curve, write_table


def remote(folder: Path) -> Remote:
    """A local folder, read the way a bucket is."""
    return Remote(LocalFileSystem(), str(folder), "s3")


def test_a_remote_study_is_the_local_one(scored_study):
    here, there = load(scored_study), load(remote(scored_study))
    assert list(there.records) == list(here.records) and not there.damaged
    for name in ("scores", "pairs", "cells"):
        pd.testing.assert_frame_equal(getattr(compare(there), name), getattr(compare(here), name))
    pd.testing.assert_frame_equal(full_scores(there), full_scores(here))
    key = here.plan.trials[0].key
    assert (there.images(key).generated(40) == here.images(key).generated(40)).all()


def test_a_remote_damaged_trial_is_named(study):
    key = load(study).plan.trials[0].key
    (study / "trials" / key / "curve.parquet").write_bytes(b"PAR1")
    assert f"s3://{study}/trials/{key}/curve.parquet: damaged" in load(remote(study)).damaged[key]


def test_studies_above_are_named(study):
    with pytest.raises(ResultsError, match=r"name one of its studies: s3:/.*demo"):
        load(remote(study.parent))
    with pytest.raises(ResultsError, match="run `study run FILE` first"):
        load(remote(study / "nothing"))


def test_a_place_that_stops_answering_is_not_damage(study):
    """A network that fails must not make every trial look torn."""

    def fail(path: str) -> None:
        raise OSError("connection timed out\nmore")

    asleep = SimpleNamespace(get_file_info=LocalFileSystem().get_file_info, open_input_stream=fail)
    place = Remote(asleep, str(study), "s3")
    with pytest.raises(UnreachableError, match=r"plan\.json: cannot be read \(connection timed out\)$"):
        load(place)


def test_what_is_listed_is_there_as_it_was(study):
    """Sizes come from the listing, so that no file is asked for its own."""
    now = remote(study).listed()
    (study / "late").write_text("late")
    assert now.exists() is False and (now / "plan.json").exists() and not (now / "late").exists()
    assert (now / "plan.json").read_bytes() == (study / "plan.json").read_bytes()
    with pytest.raises(FileNotFoundError, match=f"s3://{study}/late"):
        (now / "late").read_bytes()


@pytest.mark.parametrize("longer", [True, False])
def test_a_file_replaced_after_it_was_listed_is_read_as_it_is(study, monkeypatch, longer):
    """A running trial writes its curve anew while a report begins to read."""
    key = load(study).plan.trials[0].key
    curve = study / "trials" / key / "curve.parquet"
    before = read_curve(curve)
    after = pa.concat_tables([before] * 9) if longer else before.slice(0, 3)
    listed = Remote.listed

    def then_replaced(self: Remote) -> Remote:
        found = listed(self)
        write_table(after, curve)
        return found

    monkeypatch.setattr(Remote, "listed", then_replaced)
    found = load(remote(study))
    assert not found.damaged and len(found.curves[key]) == len(after)


@pytest.mark.parametrize(
    ("word", "uri"),
    [("s3://b/c", True), ("s3:/b/c", True), ("results/a", False), ("C:/a", False), ("/a/b", False), ("a:b", False)],
)
def test_uris_are_known_from_paths(word, uri):
    assert is_uri(word) == is_uri(Path(word)) == uri
    assert uri or locate(word) == Path(word)


def test_file_uris_are_local_and_unknown_schemes_are_refused(study):
    assert locate(study.as_uri()) == study and load(study.as_uri()).cells == load(study).cells
    with pytest.raises(ResultsError, match="nosuch://x/y: no place that can be read"):
        locate("nosuch://x/y")
