"""The noise network: trained once for these tests, some seconds."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from qgan.ebsd import crystal, noise_network
from qgan.ebsd.cleaning import clean
from qgan.ebsd.scan import NOISE, Scan
from qgan.ebsd.settings import Settings

NETWORK = Settings(noise="network")


@pytest.fixture(scope="module", autouse=True)
def small(request: pytest.FixtureRequest) -> None:
    """A shorter training: the same code, fewer steps."""
    patch = pytest.MonkeyPatch()
    for name, value in (("_MAPS", 4), ("_HELD_OUT", 2), ("_STEPS", 120)):
        patch.setattr(noise_network, name, value)

    def undo() -> None:
        patch.undo()
        noise_network._network.cache_clear()
        noise_network.scores.cache_clear()

    undo_before = noise_network._network.cache_clear
    undo_before()
    request.addfinalizer(undo)


def test_it_finds_most_noise_and_little_else() -> None:
    for name, score in noise_network.scores().items():
        assert 0.75 < score.precision <= 1 and 0.75 < score.recall <= 1, (name, score)
        assert 0.4 < score.misindexed_recall < score.recall
        assert f"precision {score.precision:.3f}" in str(score)


def test_unindexed_points_are_noise_and_symmetry_changes_nothing(bainite: Scan) -> None:
    found = noise_network.find_noise(bainite, bainite.orientations)
    assert found[bainite.phase == NOISE].all() and 0.01 < found.mean() < 0.3
    operators = crystal.symmetries()[np.random.default_rng(0).integers(24, size=bainite.shape)]
    disguised = noise_network.find_noise(bainite, crystal.multiply(operators, bainite.orientations))
    np.testing.assert_array_equal(disguised, found)


def test_strips_join_without_a_seam(bainite: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = noise_network.find_noise(bainite, bainite.orientations)
    monkeypatch.setattr(noise_network, "_STRIP", 7 * bainite.shape[1])
    np.testing.assert_array_equal(noise_network.find_noise(bainite, bainite.orientations), whole)


def test_cleaning_uses_it_with_and_without_confidence(bainite: Scan) -> None:
    for scan in (bainite, replace(bainite, confidence=None)):
        rules, network = clean(scan, Settings()).record, clean(scan, NETWORK).record
        assert network.raw == rules.raw < network.flagged
        assert network.flagged != rules.flagged


def test_only_those_who_ask_for_it_need_torch() -> None:
    code = "import sys, qgan.ebsd.patches, qgan.ebsd.readers, qgan.ebsd.synthetic; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
