"""Study files damaged in every way we could think of: `study plan` accepts them or says one sentence, never more."""

import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from study.cli import main

SHIPPED = sorted(Path("search_spaces").glob("*.yaml"))
ODD = [
    "", "null", "~", "true", "-1", "0", "1", "0.5", "-0.0", "1e400", ".nan", ".inf", "-.inf", "99999999999999999999",
    "999999999", "1_000", "0x10", "0b_", "1:30", "2026-01-01", "yes", "[]", "{}", "[[]]", "[1, [2]]", "{a: 1}",
    "{1: 2}", "{null: 3}", "[1, 1]", "[0]", "[null]", "[true]", "[8, 9.5]", "'8'", "''", "\"\\0\"", "\"\\ud800\"", "é",
    "../..", "/", "s3://bucket/x", "!!binary aGVs", "!!python/object:os.system x", "!!set {a}", "!x y", "*nothing",
    "&a [*a]", "&b {c: *b}", "{<<: 3}", "{<<: [{a: 1}]}", "|\n  text", ">-\n  text", "% x", "@x", "`x`", "? x",
    "spsa", "bernoulli", "rxx", "exact:aria-2", "finite_difference", "[[0, 1], [1, 0]]", "[[0, 99]]", "synthetic",
    "[" * 3000, "{a: " * 2000, "x" * 5000, "&l [x,x,x,x,x,x,x,x,x]",
]  # fmt: skip
LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
)


def mutated(text: str, chance: random.Random) -> bytes:
    """The text after one to three accidents."""
    for _ in range(chance.choice([1, 1, 2, 3])):
        lines = text.splitlines(keepends=True) or ["\n"]
        at = chance.randrange(len(lines))
        line = lines[at]
        kind = chance.randrange(9)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(chance.randrange(len(lines) + 1), line)
        elif kind == 2:
            lines[at] = "  " * chance.randint(0, 3) + line.lstrip()
        elif kind in (3, 4, 5) and ":" in line:  # another value for one of the keys
            places = [index for index, letter in enumerate(line) if letter == ":"]
            place = chance.choice(places)
            end = next((k for k in range(place + 1, len(line)) if line[k] in ",}\n"), len(line))
            lines[at] = f"{line[: place + 1]} {chance.choice(ODD)}{line[end:]}"
        elif kind == 6:
            place = chance.randrange(len(line) + 1)
            lines[at] = line[:place] + chance.choice(ODD + list("{}[],:#&*!|>'\"%@`\t\x00\x07\ufeff")) + line[place:]
        elif kind == 7:
            place = chance.randrange(len(line))
            lines[at] = line[:place] + line[place + 1 :]
        else:
            lines = lines[: chance.randrange(len(lines) + 1)] + chance.choice([[], [LAUGHS], ["\t\n"], ["---\na: 1\n"]])
        text = "".join(lines)
    raw = bytearray(text.encode("utf-8", "surrogatepass"))
    if raw and chance.random() < 0.1:
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw)


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.faults)])
def test_damaged_study_files_get_one_sentence(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [path.read_text() for path in SHIPPED]
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "fuzzed.yaml"
    chance = random.Random(6)
    outcomes = {0: 0, 1: 0}
    for number in range(count):
        damaged = mutated(chance.choice(texts), chance)
        file.write_bytes(damaged)
        result = CliRunner().invoke(main, ["plan", "fuzzed.yaml"])
        story = f"file {number}: {damaged!r}\n{result.output}\n{result.exception!r}"
        assert result.exit_code in outcomes, story
        outcomes[result.exit_code] += 1
        if result.exit_code:
            assert isinstance(result.exception, SystemExit), story
            assert result.stderr.startswith("study: "), story
            assert result.stderr.count("\n") == 1, story
        assert list(tmp_path.iterdir()) == [file], story
    assert min(outcomes.values()) > count // 20  # neither all refused nor all taken
