"""The ansatz as a figure: the paper's Fig. 1 for any ansatz, as SVG text."""

from qgan.circuits.ansatz import Ansatz

_ROW = 38  # pixels between wires
_BOX = 34  # pixels between columns of one-qubit gates
_PAIR = 25  # pixels between columns of two-qubit gates
_LEFT, _TOP = 64, 68  # pixels before the first column, above the first wire
_GAP = 10  # pixels between regions

_STYLE = """\
text { font: 11px system-ui, sans-serif; text-anchor: middle; dominant-baseline: central; fill: #1b1f24 }
.small { font-size: 8.5px; fill: #444c56 }
.halo { paint-order: stroke; stroke: #fdf3e7; stroke-width: 3px; stroke-linejoin: round }
.title { font-size: 13px; text-anchor: start }
.wire { stroke: #8b949e }
.rx { fill: #cfe3f7; stroke: #2f6db0 } .rz { fill: #dcefd8; stroke: #3f8a3a } .meter { fill: #fff; stroke: #57606a }
.pair { fill: #fff; stroke: #b5651d; stroke-width: 1.4 }
.one { fill: #f3f6f9 } .two { fill: #fdf3e7 }"""


def svg(ansatz: Ansatz) -> str:
    """The figure; hovering over a gate shows its name and its place in theta.

    Gates read from left to right. The two-qubit rotations of a region 2 commute, so that those whose lines do not
    touch share a column; X-X stands for RXX and Z-Z for RZZ.
    """
    bottom = _TOP + (ansatz.n_qubits - 1) * _ROW
    regions: list[str] = []
    gates: list[str] = []
    x = _LEFT
    for layer in range(ansatz.layers + 1):
        of_layer = f" layer {layer}" if ansatz.layers > 1 and layer else ""
        if layer:
            columns = _columns(ansatz.pairs)
            used = (1 + max(columns, default=-1)) * _PAIR
            width = max(used, 3 * _PAIR)  # room for the label
            regions.append(_region(x, width, bottom, f"region 2{of_layer}", "two"))
            for k, (column, pair) in enumerate(zip(columns, ansatz.pairs, strict=True)):
                index = ansatz.entanglers(layer).start + k
                gates.append(_entangler(ansatz, index, x + (width - used) / 2 + (column + 0.5) * _PAIR, pair))
            x += width + _GAP
        regions.append(_region(x, 2 * _BOX, bottom, f"region {3 if layer else 1}{of_layer}", "one"))
        for gate, angles in (("rx", ansatz.rx(layer)), ("rz", ansatz.rz(layer))):
            gates += [_rotation(ansatz, angles.start + q, x + _BOX / 2, q, gate) for q in range(ansatz.n_qubits)]
            x += _BOX
        x += _GAP
    wires = []
    for q in range(ansatz.n_qubits):
        y = _TOP + q * _ROW
        wires.append(
            f'<path class="wire" d="M{_LEFT - 18} {y}H{x + 8}"/><text x="{_LEFT - 38}" y="{y}">q{q} |0⟩</text>'
        )
        gates.append(_meter(x + 20, y, q))
    connectivity = ansatz.connectivity if isinstance(ansatz.connectivity, str) else "listed pairs"
    title = (
        f"{ansatz.n_qubits} qubits, {ansatz.layers} layer{'s' * (ansatz.layers > 1)}, {connectivity}, "
        f"{ansatz.entangler.upper()}: {len(ansatz.pairs)} pairs, P = {ansatz.n_parameters}"
    )
    width, height = max(x + 48, 8 * len(title)), bottom + 34
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    frame = f'<rect width="{width}" height="{height}" fill="#fff"/><text class="title" x="12" y="18">{title}</text>'
    return "\n".join([head, f"<style>{_STYLE}</style>", frame, *regions, *wires, *gates, "</svg>"]) + "\n"


def _columns(pairs: tuple[tuple[int, int], ...]) -> list[int]:
    """A column for each pair, short lines first, so that no two lines of a column touch."""
    taken: list[set[int]] = []
    columns = {}
    for i, j in sorted(pairs, key=lambda pair: (pair[1] - pair[0], pair)):
        span = set(range(i, j + 1))
        column = next((c for c, qubits in enumerate(taken) if not qubits & span), len(taken))
        if column == len(taken):
            taken.append(set())
        taken[column] |= span
        columns[i, j] = column
    return [columns[pair] for pair in pairs]


def _region(x: float, width: float, bottom: float, label: str, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x}" y="{_TOP - 36}" width="{width}" height="{bottom - _TOP + 58}" rx="5"/>'
        f'<text class="small" x="{x + width / 2}" y="{_TOP - 27}">{label}</text>'
    )


def _named(ansatz: Ansatz, index: int, drawing: str) -> str:
    return f"<g><title>{ansatz.names[index]}: theta[{index}]</title>{drawing}</g>"


def _rotation(ansatz: Ansatz, index: int, x: float, qubit: int, gate: str) -> str:
    y = _TOP + qubit * _ROW
    return _named(
        ansatz,
        index,
        f'<rect class="{gate}" x="{x - 14}" y="{y - 14}" width="28" height="28" rx="3"/>'
        f'<text x="{x}" y="{y - 5}">{gate.upper()}</text><text class="small" x="{x}" y="{y + 7}">θ{index}</text>',
    )


def _entangler(ansatz: Ansatz, index: int, x: float, pair: tuple[int, int]) -> str:
    top, end = (_TOP + q * _ROW for q in pair)
    letter = ansatz.entangler[-1].upper()
    marks = "".join(
        f'<circle class="pair" cx="{x}" cy="{y}" r="8"/><text x="{x}" y="{y}">{letter}</text>' for y in (top, end)
    )
    label = f'<text class="small halo" x="{x}" y="{top + _ROW / 2}">θ{index}</text>'
    return _named(ansatz, index, f'<path class="pair" d="M{x} {top}V{end}"/>{marks}{label}')


def _meter(x: float, y: float, qubit: int) -> str:
    return (
        f'<rect class="meter" x="{x - 12}" y="{y - 14}" width="24" height="28" rx="3"/>'
        f'<path class="meter" d="M{x - 7} {y + 1}a7 7 0 0 1 14 0M{x} {y + 1}l5 -9"/>'
        f'<text class="small" x="{x}" y="{y + 8}">z{qubit}</text>'
    )
