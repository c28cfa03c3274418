"""A recorded rehearsal is repeated offline; a record that cannot be repeated is named."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis.tables import read_curve
from qgan.errors import InputError
from qgan.prior_settings import Gains
from study.commands.qpu import qpu
from study.qpu.replay import Recording

RECORDED = Path(__file__).parent / "recorded"


def again(folder: Path, patches_file: Path, home: Path) -> tuple[int, str]:
    words = ["--set", f"data.source={patches_file}", "--set", f"results={home / 'results'}"]
    done = CliRunner().invoke(qpu, ["--replay", str(folder), *words], standalone_mode=False)
    return (int(done.return_value or 0) if done.exception is None else 1), done.output + str(done.exception or "")


def test_the_recorded_rehearsal(patches_file: Path, tmp_path: Path) -> None:
    code, output = again(RECORDED / "journal", patches_file, tmp_path)
    assert code == 0, output
    assert "the final theta is the recorded one, bit for bit" in output
    (curve,) = tmp_path.glob("results/tiny/debug/replay-*/curve.parquet")
    now, then = read_curve(curve).to_pydict(), read_curve(RECORDED / "curve.parquet").to_pydict()
    assert now["circuits"] == then["circuits"]
    assert sum(now["circuits"]) == 15
    assert now["prior_loss"] == then["prior_loss"]  # told then, and not computed anew
    assert now["mmd_v"] == pytest.approx(then["mmd_v"], rel=1e-4)  # another CPU rounds otherwise


def test_a_record_needs_no_file_of_gains_and_names_what_it_lacks(patches_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    shutil.copytree(RECORDED, folder)
    record = json.loads((folder / "qpu.json").read_text())
    assert "gains: {a: 0.5, c: 0.2}" in record["study_file"]
    record["study_file"] = record["study_file"].replace("gains: {a: 0.5, c: 0.2}", "gains: gone.json")
    (folder / "qpu.json").write_text(json.dumps(record))
    recording = Recording(folder)
    found = recording.final(recording.study(tmp_path / "scratch", [f"data.source={patches_file}"]))
    assert found.prior.gains == Gains(**record["gains"])
    with pytest.raises(InputError, match=rf"^{folder}/qpu.json: the study file in it, line .*no such file.*--set"):
        recording.final(recording.study(tmp_path / "scratch", []))


def test_records_that_cannot_be_repeated(patches_file: Path, tmp_path: Path) -> None:
    assert "is no recorded run" in again(tmp_path, patches_file, tmp_path)[1]
    cut = tmp_path / "cut"
    shutil.copytree(RECORDED, cut)
    for path in cut.glob("journal/00006-*"):
        path.unlink()
    code, output = again(cut, patches_file, tmp_path)
    assert code == 4
    assert "ends before call 6" in output
    record = json.loads((cut / "qpu.json").read_text())
    (cut / "qpu.json").write_text(json.dumps({**record, "key": "0" * 16}))
    assert "the trial that was recorded has the key 0000" in again(cut, patches_file, tmp_path)[1]
    (cut / "qpu.json").write_text("{")
    assert "is damaged" in again(cut, patches_file, tmp_path)[1]
