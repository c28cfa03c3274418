"""What is left to do and what it can show, from the plan and the ledger alone."""

from study.ledger import Ledger
from study.plan import Planned
from study.spec import Study

_EXACT_TEST_PAIRS = 6  # fewest pairs with which a two-sided sign-flip test of one cell can reach p < 0.05


def estimate(study: Study, planned: list[Planned], states: dict[str, str]) -> list[str]:
    """Lines for `study plan`: trials and epochs left, time at the ledger's own speed, what the design can show."""
    left = {each.key: each for each in planned if states[each.key] in ("pending", "running")}
    epochs = len(left) * study.horizons[-1]
    lines = [f"{len(states)} trials, {len(left)} still to run: {epochs} epochs up to horizon {study.horizons[-1]}"]
    hours = _hours(study, planned, left)
    if hours is not None:
        kind = "GPU" if study.resources.gpu else "CPU"
        share = study.resources.gpu or study.resources.cpu
        lines.append(f"about {hours * share:.2g} {kind}-hours at the speed of this study's own finished trials")
    elif left:
        lines.append("time: unknown until a trial of each cell is done (`study trial` or `study run --limit 1`)")
    pairs = min(arm.replicates.count for arm in study.arms.values())
    if pairs < _EXACT_TEST_PAIRS:
        lines.append(
            f"{pairs} replicates: no distribution-free test of a single cell can reach p < 0.05 with fewer than "
            f"{_EXACT_TEST_PAIRS} pairs"
        )
    for cell in study.cells:
        for arm, prior in cell.priors.items():
            due = getattr(prior, "due", None)
            if due is not None and not any(map(due, range(1, study.horizons[-1] + 1))):
                lines.append(f"arm {arm} is never updated within {study.horizons[-1]} epochs: see its update_every")
    lines = list(dict.fromkeys(lines))  # an arm is named once, not in every cell
    lines.append(f"results: {study.folder}")
    return lines


def _hours(study: Study, planned: list[Planned], left: dict[str, Planned]) -> float | None:
    """Trial-hours left, by each cell's mean seconds per epoch; None where a cell has none yet."""
    import pyarrow.compute as pc

    from analysis.tables import read_table

    ledger = Ledger(study.folder)
    speeds: dict[str, list[float]] = {}
    for each in {each.key: each for each in planned if each.key not in left}.values():
        curve = ledger.trial(each.key).curve
        if curve.exists():
            table = read_table(curve)
            if table.num_rows:
                speeds.setdefault(str(each.cell), []).append(pc.max(table["seconds"]).as_py() / table.num_rows)
    if not left or any(str(each.cell) not in speeds for each in left.values()):
        return None
    seconds = sum(sum(speeds[cell := str(each.cell)]) / len(speeds[cell]) for each in left.values())
    return seconds * study.horizons[-1] / 3600
