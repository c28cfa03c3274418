from dataclasses import replace

import pytest

from qgan.errors import InputError
from qgan.prior_settings import BernoulliSettings, QcbmSettings
from qgan.settings import DataSettings, ScoreSettings, TrainSettings
from qgan.trial import Trial

TRIAL = Trial(
    data=DataSettings(patches="abc", evaluation=2000),
    latent_dim=8,
    images=3000,
    replicate=0,
    prior=QcbmSettings(),
)


def test_defaults_written_out_are_the_same_trial() -> None:
    spelled = replace(
        TRIAL, prior=QcbmSettings(layers=1, shots=256), train=TrainSettings(width=64), score=ScoreSettings()
    )
    assert spelled.key == TRIAL.key


def test_numbers_are_cast_to_their_declared_type() -> None:
    assert replace(TRIAL, train=TrainSettings(gradient_penalty=5)).key == (
        replace(TRIAL, train=TrainSettings(gradient_penalty=5.0)).key
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(TRIAL, data=DataSettings(patches="abd", evaluation=2000)),
        replace(TRIAL, data=DataSettings(patches="abc", evaluation=2001)),
        replace(TRIAL, data=DataSettings(patches="abc", evaluation=2000, microstructure="ferrite")),
        replace(TRIAL, latent_dim=9),
        replace(TRIAL, images=3001),
        replace(TRIAL, replicate=1),
        replace(TRIAL, prior=BernoulliSettings()),
        replace(TRIAL, prior=QcbmSettings(epsilon=0.31)),
        replace(TRIAL, train=TrainSettings(width=32)),
        replace(TRIAL, score=ScoreSettings(every=2)),
    ],
)
def test_whatever_changes_the_numbers_changes_the_key(other: Trial) -> None:
    assert other.key != TRIAL.key


def test_key_is_the_same_on_every_machine_and_day() -> None:
    assert TRIAL.key == "6ace9c0725a36a78"
    assert replace(TRIAL, prior=BernoulliSettings()).key == "e14dd33b02ea4060"


def test_a_pair_shares_its_streams_and_other_cells_do_not() -> None:
    assert replace(TRIAL, prior=BernoulliSettings()).pairing == TRIAL.pairing
    assert replace(TRIAL, score=ScoreSettings(images=10)).pairing == TRIAL.pairing
    for other in (replace(TRIAL, replicate=1), replace(TRIAL, images=9000), replace(TRIAL, latent_dim=10)):
        assert other.pairing != TRIAL.pairing


def test_update_events_of_the_paper() -> None:
    ferrite, bainite = QcbmSettings(update_every=30), QcbmSettings(update_every=10)
    assert [epoch for epoch in range(1, 4001) if ferrite.due(epoch)] == [30, 60, 90]
    assert [epoch for epoch in range(1, 4001) if bainite.due(epoch)] == list(range(10, 101, 10))


@pytest.mark.parametrize(
    ("settings", "values", "key"),
    [
        (TrainSettings, {"batch_size": 1}, "batch_size"),
        (TrainSettings, {"learning_rate": float("nan")}, "learning_rate"),
        (QcbmSettings, {"shots": 0}, "shots"),
        (QcbmSettings, {"epsilon": 0.0}, "epsilon"),
        (BernoulliSettings, {"p": 1.0}, "p"),
        (DataSettings, {"patches": "abc", "evaluation": 3}, "evaluation"),
    ],
)
def test_impossible_values_name_their_key(settings: type, values: dict[str, object], key: str) -> None:
    with pytest.raises(InputError, match=key) as caught:
        settings(**values)
    assert caught.value.key == key


def test_score_and_floor_need_two_disjoint_batches() -> None:
    with pytest.raises(InputError, match="at most 50"):
        replace(TRIAL, data=DataSettings(patches="abc", evaluation=100), score=ScoreSettings(images=51))
