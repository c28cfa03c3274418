"""Files of patches put into one."""

import numpy as np
import pytest

from qgan.ebsd.dataset import Patches, split
from qgan.ebsd.joining import joined
from qgan.ebsd.patchset import assemble
from qgan.ebsd.synthetic import generate
from qgan.errors import InputError


@pytest.fixture(scope="module")
def both() -> tuple[Patches, Patches]:
    return generate("ferrite", 24, seed=0, patch=12), generate("bainite", 30, seed=0, patch=12)


def test_every_patch_keeps_its_pixels_label_and_map(both: tuple[Patches, Patches]) -> None:
    patches = joined({"a": both[0], "b": both[1]})
    assert patches.footer.microstructures == {"bainite": 30, "ferrite": 24}
    assert np.array_equal(patches.images, np.concatenate([each.images for each in both]))
    maps = [set(patches.index.map_id[rows].tolist()) for rows in (slice(24), slice(24, None))]
    assert not maps[0] & maps[1]
    assert len(patches.footer.cleaning) == sum(len(each.footer.cleaning) for each in both)
    assert max(maps[1]) < len(patches.footer.cleaning)
    pool, held_out = split(patches.index, 10, "bainite")
    assert set(patches.index.microstructure[[*pool, *held_out]]) == {"bainite"}


def test_files_that_do_not_fit_are_refused(both: tuple[Patches, Patches]) -> None:
    with pytest.raises(InputError, match="b: holds the same patches as a"):
        joined({"a": both[0], "b": both[0]})
    with pytest.raises(InputError, match="only patches of one size"):
        joined({"a": both[0], "b": generate("bainite", 10, seed=0, patch=16)})
    other = both[1]
    columns = {
        name: getattr(other.index, name) for name in ("microstructure", "source", "map_id", "grain_id", "row", "column")
    }
    coarse = assemble(other.images, {**columns, "step_um": 2 * other.index.step_um}, settings={}, cleaning=())
    with pytest.raises(InputError, match="KAM depends on the step"):
        joined({"a": both[0], "b": coarse})
