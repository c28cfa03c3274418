"""The figure of an ansatz: whole, readable XML, nothing drawn over anything else."""

from itertools import combinations
from xml.etree import ElementTree

import pytest

from qgan.circuits.ansatz import Ansatz
from qgan.circuits.drawing import _columns, svg

ANSATZE = [Ansatz(1), Ansatz(4), Ansatz(12), Ansatz(5, 2, "line", "rzz"), Ansatz(4, connectivity=((0, 3), (1, 2)))]


def texts(figure: ElementTree.Element, tag: str) -> list[str]:
    return [element.text or "" for element in figure.iter(f"{{http://www.w3.org/2000/svg}}{tag}")]


@pytest.mark.parametrize("ansatz", ANSATZE)
def test_every_angle_is_drawn_once_under_its_name(ansatz):
    figure = ElementTree.fromstring(svg(ansatz))
    assert sorted(texts(figure, "title")) == sorted(f"{n}: theta[{i}]" for i, n in enumerate(ansatz.names))
    labels = [text for text in texts(figure, "text") if text.startswith("θ")]
    assert sorted(labels) == sorted(f"θ{i}" for i in range(ansatz.n_parameters))


def test_regions_wires_and_outcomes_are_labelled():
    labels = texts(ElementTree.fromstring(svg(Ansatz(3, 2, "line", "rzz"))), "text")
    assert {"region 1", "region 2 layer 1", "region 3 layer 1", "region 2 layer 2", "region 3 layer 2"} < set(labels)
    assert {"q0 |0⟩", "q2 |0⟩", "z0", "z2"} < set(labels)
    assert "3 qubits, 2 layers, line, RZZ: 2 pairs, P = 22" in labels


@pytest.mark.parametrize("ansatz", ANSATZE)
def test_lines_that_share_a_column_do_not_touch(ansatz):
    placed = list(zip(_columns(ansatz.pairs), ansatz.pairs, strict=True))
    for (column, (i, j)), (other, (k, m)) in combinations(placed, 2):
        assert column != other or j < k or m < i


def test_the_full_ansatz_of_12_qubits_fits_on_a_page():
    assert 1 + max(_columns(Ansatz(12).pairs)) <= 45  # 36 lines cross the middle
