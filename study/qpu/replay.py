"""A recorded run, repeated offline from its journal: nothing is ordered, nothing is paid."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from qgan.errors import InputError
from qgan.files import whole_file
from study import provenance, trainable
from study.qpu.final import Final, final
from study.spec import Study, load
from study.trainable import Job, Watch

RECORD = "qpu.json"  # what was run, beside the folder of its journal


def write_record(found: Final, folder: Path, assignments: list[str]) -> None:
    """Write down what is about to run, so that it can be repeated from its folder alone."""
    gains = found.prior.gains
    record = {
        "schema": 1,
        **found.described(),
        "gains": None if gains is None else vars(gains),
        "cpus": found.study.resources.cpu,
        "study_file": found.study.document.text,
        "assignments": assignments,
        "command": provenance.command(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")


def require_same(found: Final, folder: Path) -> None:
    """Raises InputError where the folder holds a run of another trial, as far as is known before its gains are."""
    now = found.described()
    try:
        before = json.loads((folder / RECORD).read_text())
        other = [name for name, value in now.items() if name != "key" and before.get(name) != value]
    except (OSError, ValueError, AttributeError):
        return  # none has begun, or its record is written anew
    if other:
        raise InputError(
            f"{folder} holds a run with another {other[0]} ({before.get(other[0])}, not {now[other[0]]}): choose "
            "another --run, or the settings of that run"
        )


class Recording:
    """The folder of a run that is over, or as far as it came."""

    def __init__(self, journal: Path) -> None:
        """`journal`: the run's folder, or the journal in it. Raises InputError where there is none."""
        self.folder = journal.parent if journal.name == "journal" else journal
        self.journal = self.folder / "journal"
        path = self.folder / RECORD
        try:
            self.record: dict[str, Any] = json.loads(path.read_text())
            self.text, self.assignments = self.record["study_file"], self.record["assignments"]
            self.key, self.backend = self.record["key"], self.record["backend"]
        except FileNotFoundError:
            raise InputError(
                f"{journal} is no recorded run: there is no {path}; name a folder results/STUDY/qpu/RUN"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: is damaged ({error}); restore it from a copy of the folder") from None
        if not (self.journal / "run.json").exists():
            raise InputError(f"{self.folder} holds no journal of a machine: {self.backend} is simulated; run it again")

    def study(self, scratch: Path, assignments: list[str]) -> Study:
        """The study file as it was, with what is assigned now on top."""
        scratch.mkdir(parents=True, exist_ok=True)
        path = scratch / "study.yaml"
        path.write_text(self.text)
        gains = []  # those that were used, and not a file that may have gone
        if self.record["gains"] is not None:
            gains = [f"arms.{self.record['arm']}.gains={json.dumps(self.record['gains'])}"]
        with self._named(path):
            return load(path, [*self.assignments, *gains, *assignments])

    def final(self, study: Study) -> Final:
        """The recorded trial. Raises InputError where it cannot be made again as it was."""
        with self._named(study.document.path):
            found = final(study, self.backend)
        if found.planned.key != self.key:
            raise InputError(
                f"{self.folder}: the trial that was recorded has the key {self.key}, the same settings now give "
                f"{found.planned.key}: the data are others, or this version has other defaults"
            )
        return found

    @contextmanager
    def _named(self, path: Path) -> Iterator[None]:
        """Errors inside name the record, and not the file that stands for it."""
        try:
            yield
        except InputError as error:
            told = str(error).removeprefix(f"{path}:")
            raise InputError(
                f"{self.folder / RECORD}: the study file in it, line {told}; --set KEY=VALUE changes a value, and "
                "relative paths count from the current folder"
            ) from None


def replay(recording: Recording, found: Final, patches_file: Path | str, folder: Path, watch: Watch) -> Job:
    """Train the recorded trial again, its circuits' codes and losses out of the journal; the job that was run.

    Raises Stopped where the journal ends before the trial.
    """
    from qgan.ionq.replay import Replay
    from qgan.ionq.sampler import IonqSampler

    sampler = IonqSampler(found.ansatz, Replay(recording.journal))
    job = trainable.job(found.study, found.planned, patches_file, folder)
    job = replace(job, sampler=sampler, gpus=0.0, command=provenance.command())
    trainable.run(job, watch, raise_errors=True)
    return job


def theta(checkpoint: Path, found: Final) -> list[float]:
    """The circuit's angles in a checkpoint, radians."""
    from qgan import checkpoint as checkpoints

    state = checkpoints.load(checkpoint, found.planned.trial)
    return state["prior"]["theta"].tolist()  # type: ignore[no-any-return]
