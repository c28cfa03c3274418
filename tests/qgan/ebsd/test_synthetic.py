import numpy as np
import pytest

from qgan.ebsd.channels import KAM, KS_DEVIATION
from qgan.ebsd.dataset import Patches, split
from qgan.ebsd.synthetic import generate, recipe
from qgan.errors import InputError


@pytest.fixture(scope="module")
def ferrite() -> Patches:
    return generate("ferrite", 120, 0, 32)


@pytest.fixture(scope="module")
def bainite() -> Patches:
    return generate("bainite", 120, 0, 32)


def test_exactly_the_count_evenly_from_twelve_maps(ferrite: Patches, bainite: Patches) -> None:
    for patches in (ferrite, bainite):
        assert patches.images.shape == (120, 5, 32, 32)
        assert np.bincount(patches.index.map_id).min() >= 8
        assert len(set(patches.index.map_id.tolist())) >= 12
        training, evaluation = split(patches.index, 40, None)
        assert len(evaluation) == 40 and 120 - 40 - 15 < len(training) <= 80  # whole maps are held out
    assert ferrite.footer.recipe == "synthetic-v1 generator=2 ferrite count=120 seed=0 patch=32"
    assert recipe("bainite", 600, 0, 32) == "synthetic-v1 generator=2 bainite count=600 seed=0 patch=32"


def test_the_seed_makes_the_bytes_whatever_the_processes(ferrite: Patches) -> None:
    again = generate("ferrite", 120, 0, 32, processes=2)
    np.testing.assert_array_equal(again.images, ferrite.images)
    assert again.footer == ferrite.footer
    assert generate("ferrite", 7, 1, 16).footer.content_hash != generate("ferrite", 7, 0, 16).footer.content_hash


def test_progress_counts_up_to_the_count() -> None:
    heard: list[int] = []
    assert len(generate("ferrite", 9, 3, 16, progress=heard.append)) == 9
    assert heard == sorted(heard) and heard[-1] == 9


def test_bainite_is_bent_related_and_holds_austenite(ferrite: Patches, bainite: Patches) -> None:
    """Levels of real scans: KAM 0.2 to 0.4 deg in ferrite, around 1.4 in lath-type steel at 0.4 um steps.

    The two overlap on purpose: strained ferrite, granular bainite, austenite in both.
    """

    def median(patches: Patches, number: int, limit: float) -> float:
        values = (KAM if number == 2 else KS_DEVIATION).decode(patches.images[:, number])
        return float(np.median(values[values <= limit]))

    assert 0.2 < median(ferrite, 2, 3) < 0.7
    assert 0.7 < median(bainite, 2, 3) < 1.7
    assert 5.5 < median(ferrite, 3, 15) < 9
    assert 3.5 < median(bainite, 3, 15) < 6.2
    for patches in (ferrite, bainite):
        assert 0.001 < (patches.images[:, 1] == 170).mean() < 0.1
    noise = [[record["flagged"] for record in patches.footer.cleaning] for patches in (ferrite, bainite)]
    assert 0.01 < np.mean(noise[0]) < 0.06 and 0.04 < np.mean(noise[1]) < 0.13
    for patches in (ferrite, bainite):
        assert (patches.images[:, 1][patches.images[:, 4] == 255] == 85).all()


@pytest.mark.parametrize(
    ("arguments", "key"),
    [(("pearlite", 10, 0, 32), "microstructure"), (("ferrite", 0, 0, 32), "count"), (("ferrite", 5, -1, 32), "seed")],
)
def test_wrong_requests_name_their_key(arguments: tuple[str, int, int, int], key: str) -> None:
    with pytest.raises(InputError) as caught:
        generate(*arguments)
    assert caught.value.key == key
