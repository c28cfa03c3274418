import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from qgan.ebsd import crystal
from qgan.errors import InputError

# the ten different angles between the 24 variants (Morito et al. 2003)
KS_ANGLES = [10.53, 14.88, 20.61, 21.06, 47.11, 49.47, 50.51, 51.73, 57.21, 60.00]


def random(count: int, seed: int) -> np.ndarray:
    return crystal.unit(np.random.default_rng(seed).normal(size=(count, 4)))


def scipy(q: np.ndarray) -> Rotation:
    return Rotation.from_quat(np.roll(q, -1, axis=-1))


def test_symmetries_are_the_cubes_rotation_group() -> None:
    ours, theirs = crystal.symmetries(), Rotation.create_group("O").as_quat(scalar_first=True)
    assert ours.shape == (24, 4)
    assert np.allclose(np.abs(ours @ theirs.T).max(axis=1), 1)


def test_disorientation_is_the_brute_force_minimum_over_24_by_24() -> None:
    p, q = random(50, 0), random(50, 1)
    group = Rotation.create_group("O")
    for one, other, angle in zip(p, q, crystal.disorientation(p, q), strict=True):
        m = scipy(one) * scipy(other).inv()
        brute = min((s * m * group).magnitude().min() for s in group)
        assert angle == pytest.approx(brute, abs=1e-9)


def test_disorientation_of_near_equals_is_precise() -> None:
    q = random(100, 2)
    turned = crystal.multiply(crystal.from_rotation_vector(np.full((100, 3), 1e-4)), q)
    assert np.allclose(crystal.disorientation(q, turned), np.sqrt(3) * 1e-4, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_disorientation_is_a_symmetric_distance_of_equivalence_classes(seed: int) -> None:
    p, q, r = random(3, seed)[:, None]
    s = crystal.symmetries()
    pq = crystal.disorientation(p, q)
    assert np.allclose(crystal.disorientation(crystal.multiply(s, p), q), pq, atol=1e-7)
    assert np.allclose(crystal.disorientation(q, p), pq, atol=1e-7)
    assert pq <= crystal.disorientation(p, r) + crystal.disorientation(r, q) + 1e-7
    assert pq <= np.radians(62.8)  # Mackenzie's largest


def test_euler_angles_are_bunges_and_come_back() -> None:
    euler = np.random.default_rng(3).uniform(0, [2 * np.pi, np.pi, 2 * np.pi], (200, 3))
    q = crystal.from_euler(euler)
    # specimen -> crystal: the inverse of the rotation Z X' Z'' that turns the specimen's axes into the crystal's
    oracle = Rotation.from_euler("ZXZ", euler).inv().as_quat(scalar_first=True)
    assert np.allclose(np.abs(np.sum(q * oracle, axis=1)), 1)
    assert np.allclose(crystal.to_euler(q), euler)


def test_matrices_and_products_agree_with_scipy() -> None:
    p, q = random(2, 4)
    assert np.allclose(crystal.to_matrix(p), scipy(p).as_matrix())
    assert np.allclose(crystal.to_matrix(crystal.multiply(p, q)), crystal.to_matrix(p) @ crystal.to_matrix(q))
    assert abs(crystal.from_matrix(crystal.to_matrix(p)) @ p) == pytest.approx(1)


def test_kurdjumov_sachs_variants_have_the_textbook_angles() -> None:
    variants = crystal.austenite_relations("KS")
    angles = np.degrees(crystal.disorientation(variants[0], variants[1:]))
    assert sorted(set(angles.round(2))) == KS_ANGLES
    assert len(crystal.ferrite_relations("KS")) == 440


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("KS", [([1, 1, 1], [0, 1, 1]), ([-1, 0, 1], [-1, -1, 1])]),
        ("NW", [([1, 1, 1], [0, 1, 1]), ([-2, 1, 1], [0, -1, 1])]),
    ],
)
def test_relationships_map_the_parallel_planes_and_directions(name: str, pairs: list[tuple[list[int], ...]]) -> None:
    t = crystal.to_matrix(crystal.relationship(name))
    for austenite, ferrite in pairs:
        assert np.allclose(t @ austenite / np.linalg.norm(austenite), ferrite / np.linalg.norm(ferrite))


def test_nishiyama_wassermann_is_5_26_degrees_from_kurdjumov_sachs() -> None:
    angles = crystal.disorientation(crystal.relationship("KS"), crystal.austenite_relations("NW"))
    assert np.degrees(angles.min()) == pytest.approx(5.26, abs=0.01)


def test_random_pairs_of_grains_deviate_as_the_literature_of_chance_says() -> None:
    p, q = random(4000, 5), random(4000, 6)
    for relations, median in ((crystal.ferrite_relations("KS"), 7.9), (crystal.austenite_relations("KS"), 21)):
        delta = np.full(len(p), np.inf)
        for relation in relations:
            delta = np.minimum(delta, crystal.disorientation(p, crystal.multiply(relation, q)))
        assert np.degrees(np.median(delta)) == pytest.approx(median, rel=0.08)


def test_nearest_equivalent_is_nearest() -> None:
    q, reference = random(200, 7), random(200, 8)
    found = crystal.nearest_equivalent(q, reference)
    assert np.allclose(crystal.disorientation(found, q), 0, atol=1e-6)
    assert np.allclose(2 * np.arccos(np.sum(found * reference, axis=1)), crystal.disorientation(q, reference))


def test_the_users_own_relation_is_bunge_angles_from_austenite_to_ferrite() -> None:
    angles = np.degrees(crystal.to_euler(crystal.relationship("KS")))
    own = crystal.relationship(",".join(f"{angle:.10f}" for angle in angles))
    assert abs(own @ crystal.relationship("KS")) == pytest.approx(1)
    assert (
        crystal.disorientation(crystal.austenite_relations("5.77,48.19,5.77"), crystal.relationship("KS")).min() < 1e-3
    )
    for wrong in ("ks", "1,2", "1,2,x", "1,2,999", "nan,1,2", ""):
        with pytest.raises(InputError, match="KS, NW or three Bunge angles") as caught:
            crystal.relationship(wrong)
        assert caught.value.key == "ks_relation"


@pytest.mark.parametrize("name", ["KS", "NW", "10,45,20"])
def test_the_nearest_relation_is_the_brute_force_minimum(name: str) -> None:
    p, q = random(60, 9), random(60, 10)
    for relations in (crystal.ferrite_relations(name), crystal.austenite_relations(name)):
        ideal = crystal.Nearest.to(relations).of(p, q)
        brute = crystal.disorientation(p[:, None], crystal.multiply(relations, q[:, None])).min(axis=1)
        assert np.allclose(crystal.disorientation(p, ideal), brute, atol=1e-9)
        # what it returns is one of the relations, not only as near as one
        among = crystal.disorientation(ideal[:, None], crystal.multiply(relations, q[:, None])).min(axis=1)
        assert np.allclose(among, 0, atol=1e-7)


def test_many_pairs_in_strips_and_threads_are_the_pairs_one_by_one() -> None:
    p, q = random(40_000, 11).reshape(200, 200, 4), random(200, 12)
    assert np.array_equal(crystal.disorientation(p, q), np.stack([crystal.disorientation(each, q) for each in p]))
    assert np.array_equal(crystal.multiply(p, q), np.stack([crystal.multiply(each, q) for each in p]))
