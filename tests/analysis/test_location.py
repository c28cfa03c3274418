"""Results at a URI are read as those in a folder: through pyarrow's filesystems."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pyarrow.fs import LocalFileSystem

from analysis.effects import compare
from analysis.errors import ResultsError, UnreachableError
from analysis.findings import Findings
from analysis.location import Remote, RemoteTable, is_uri, locate
from analysis.quality import full_scores
from analysis.results import load
from analysis.sections import failures
from analysis.tables import read_curve, write_table
from study.cli import main


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


def break_page(path: Path, column: str) -> None:
    """Flip a bit of a column's values."""
    group = pq.read_metadata(path).row_group(0)
    (chunk,) = (
        each for each in map(group.column, range(group.num_columns)) if each.path_in_schema.split(".")[0] == column
    )
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(content)


def break_name(path: Path, column: str) -> None:
    """Make a column's name no text."""
    content = path.read_bytes()
    at = content.index(column.encode(), len(content) - pq.read_metadata(path).serialized_size - 8)
    path.write_bytes(content[:at] + b"\xff" + content[at + 1 :])


@pytest.mark.parametrize("where", [Path, remote])
def test_a_broken_page_or_name_is_damage_of_one_file(written, where):
    """pyarrow tells a broken page like a broken connection: the place is asked again before it is blamed."""
    home = written(scores=True)
    page, name, *_, last = sorted(load(home).curves)
    break_page(home / "trials" / page / "curve.parquet", "mmd_v")
    break_name(home / "trials" / name / "curve.parquet", "mmd_u")
    break_page(home / "trials" / last / "scores.parquet", "value")
    break_name(home / "trials" / last / "images.parquet", "index")
    found = load(where(home))
    assert set(found.damaged) == {page, name} and "page" in found.damaged[page]
    assert last not in found.full_scores() and set(found.unread) == {last}
    assert found.images(last) is None


def test_failures_name_what_is_damaged_though_no_other_section_has_read_it(written):
    home = written(scores=True)
    keys = sorted(load(home).curves)[:4]
    names = ("curve.parquet", "curve.parquet", "curve.parquet", "scores.parquet")
    for key, name, column in zip(keys, names, ("seconds", "prior_entropy", "channel_floor_u", "value"), strict=True):
        break_page(home / "trials" / key / name, column)
    rows = failures.values(Findings(load(home)))["failures"]
    assert {row["trial"].key: row["cause"].partition(": damaged")[0] for row in rows} == {
        key: str(home / "trials" / key / name) for key, name in zip(keys, names, strict=True)
    }


def test_a_curve_replaced_between_two_requests_is_read_as_a_whole(study, monkeypatch):
    found = load(remote(study))
    key = found.plan.trials[0].key
    curve = study / "trials" / key / "curve.parquet"
    after = pa.concat_tables([read_curve(curve)] * 9)
    footer = RemoteTable.schema_arrow

    def then_replaced(self: RemoteTable) -> pa.Schema:
        schema = footer.fget(self)
        if self._fragment.path == str(curve):
            write_table(after, curve)
        return schema

    monkeypatch.setattr(RemoteTable, "schema_arrow", property(then_replaced))
    tables = found.columns(["epoch", "shots"])
    assert not found.unread and len(tables[key]) == len(after)


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


@pytest.mark.parametrize("longer", [True, False])
def test_a_record_replaced_after_it_was_listed_is_read_as_it_is(study, monkeypatch, longer):
    key = load(study).plan.trials[0].key
    path = study / "trials" / key / "trial.json"
    after = json.loads(path.read_text()) | {"command": "again" * 1000 if longer else "", "warnings": ["replaced"]}
    listed = Remote.listed

    def then_replaced(self: Remote) -> Remote:
        found = listed(self)
        path.write_text(json.dumps(after))
        return found

    monkeypatch.setattr(Remote, "listed", then_replaced)
    found = load(remote(study))
    assert not found.damaged and found.records[key].command == after["command"]


@pytest.mark.parametrize(
    "text", ["", "{}", '{\n "a": "\\" ,\'ä€\\n\\u0001"\n}\n', "\n\na\n\n", "a\r\nb", "a,b\n" * 300_000, "\x01", "\0"]
)
def test_a_listed_text_has_all_its_lines_up_to_the_last_that_is_not_blank(tmp_path, text):
    (tmp_path / "text").write_bytes(text.encode())
    found = (remote(tmp_path).listed() / "text").read_text()
    assert found.rstrip("\n") == (tmp_path / "text").read_text("utf-8").rstrip("\n")


@pytest.mark.parametrize("where", [Path, remote])
def test_a_record_that_is_no_text_is_damage_of_one_trial(study, where):
    key = load(study).plan.trials[0].key
    (study / "trials" / key / "trial.json").write_bytes(b"\xff\xfe")
    assert list(load(where(study)).damaged) == [key]


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


@pytest.mark.parametrize("odd", ["a b", "a%20b", "a\u0308", "a#b", "a//b", "./a", "a/.."])
def test_an_address_that_no_study_writes_to_is_one_sentence(odd):
    with pytest.raises(
        ResultsError, match=r"^s3://bucket/.*: no place of results; .* copy other keys to a local"
    ) as told:
        load(f"s3://bucket/{odd}")
    assert "\n" not in str(told.value)


def test_the_report_of_such_an_address_is_one_sentence():
    done = CliRunner().invoke(main, ["report", "s3://bucket/a%20b"])
    assert done.exit_code == 1
    assert done.stderr.startswith("study: s3://bucket/a%20b: no place of results; ") and done.stderr.count("\n") == 1
