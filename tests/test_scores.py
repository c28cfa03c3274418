"""What qgan scores, analysis can explain: the two must not drift apart."""

from analysis.quality import QUALITY
from qgan.metrics.memorisation import NEAR_QUANTILE
from qgan.scoring import NAMES


def test_every_score_has_a_meaning() -> None:
    assert tuple(QUALITY) == NAMES
    assert QUALITY["near_share"].ideal == NEAR_QUANTILE
