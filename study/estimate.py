"""What is left to do and what it can show: the lines below the table of `study plan`. Changes nothing."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import expm1

from analysis.power import POWER, Design, Spread, smallest_p
from study.ledger import checkpointed
from study.memory import peak_bytes
from study.nodes import Node, slots
from study.pace import Pace
from study.plan import Look, Planned
from study.prices import list_price
from study.spec import Study
from study.spending import Spent, spent

_EXACT_TEST_PAIRS = 6  # fewest pairs with which a two-sided sign-flip test of one cell can reach p < 0.05
_SPREADS = (0.1, 0.2, 0.3)  # run-to-run standard deviations of log MMD for which the power is told
_NAMED = 3  # cells that a line names; the others are counted
_CELL_SD = 0.1  # tau, assumed likewise


def estimate(look: Look, pace: Pace | None, nodes: Sequence[Node], shape: tuple[int, int, int]) -> list[str]:
    """Lines for `study plan`; `shape` is a patch's (channels, height, width)."""
    study = look.study
    left = work(look)
    return [
        describe_work(study, look.states, left),
        *describe_cost(look, left, pace, nodes),
        *describe_memory(study, shape),
        *describe_power(study),
        *warnings(study),
        *passed_horizons(look),
        f"results: {study.folder}",
    ]


def work(look: Look) -> dict[str, int]:
    """Key -> epochs still to train, of the trials that a run would take up; a checkpoint's epochs are done."""
    longest, records = look.study.horizons[-1], look.now.records
    return {
        key: max(0, longest - checkpointed(records[key])) if key in records else longest
        for key, state in look.states.items()
        if state in ("pending", "running")
    }


def describe_work(study: Study, states: dict[str, str], left: dict[str, int]) -> str:
    """How many trials and epochs are left."""
    failed = sum(state == "failed" for state in states.values())
    return (
        f"{len(states)} trials, {len(left)} still to run: {sum(left.values())} epochs up to horizon "
        f"{study.horizons[-1]}" + (f"; {failed} failed, which `--retry failed` would run again" if failed else "")
    )


def describe_cost(look: Look, left: dict[str, int], pace: Pace | None, nodes: Sequence[Node]) -> list[str]:
    """Hours, wall time on the nodes, money, and what the budget allows."""
    study, planned = look.study, look.planned
    if not left:
        return []
    if pace is None:
        return ["time: unknown until a trial is done (`study run --limit 1`) or with `study plan --probe`"]
    gpu, known = study.resources.gpu, _hours_of(planned, left, pace)
    hours = sum(known.values())
    if gpu:
        amount = f"{hours * gpu:.3g} GPU-hours ({hours:.3g} hours of trials at gpu: {gpu:g})"
    else:
        amount = f"{hours * study.resources.cpu:.3g} CPU-hours ({hours:.3g} hours of trials)"
    if unknown := dict.fromkeys(one.cell_name for one in planned if one.key in left and one.key not in known):
        least = f"at least {amount}, by {pace.source}; " if known else "time: "
        names = "; ".join([*unknown][:_NAMED]) + (f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else "")
        return [f"{least}nothing is known of {names}: `study plan --probe` measures every cell"]
    lines = [f"about {amount}, by {pace.source}"]
    longest = max(known.values())
    at_once = slots(study.resources, nodes)
    if at_once:
        where = f" on the cluster's {len(nodes)} nodes" if len(nodes) > 1 else ""
        lines.append(f"wall time: about {max(longest, hours / at_once):.3g} hours, {at_once} at once{where}")
    elif gpu:
        per_gpu = int(1 / gpu + 1e-9)
        times = [f"{max(longest, hours / per_gpu / many):.3g} hours on {many}" for many in (1, 8)]
        lines.append(f"wall time: no trial fits this machine; about {', '.join(times)} GPUs")
    else:
        lines.append(f"wall time: no trial of cpu: {study.resources.cpu:g} fits this machine; lower resources.cpu")
    if gpu:
        lines += _money(study, pace, hours * gpu, _spent(look))
    return lines


def _money(study: Study, pace: Pace, gpu_hours: float, so_far: Spent) -> list[str]:
    budget = study.budget
    price = list_price(pace.gpu) if pace.gpu else None
    rate, told = None, ""
    if budget.usd_per_gpu_hour is not None:
        rate, told = budget.usd_per_gpu_hour, "budget.usd_per_gpu_hour"
    elif pace.usd_per_gpu_hour is not None:
        rate, told = pace.usd_per_gpu_hour, "the rate in this study's ledger"
    elif price is not None:
        rate, told = price.usd_per_hour, f"list price of a {price.kind}, {price.vendor}, {price.date}"
    lines = []
    if rate is None:
        kind = pace.gpu or "a GPU of unknown kind"
        lines.append(f"money: no price is known for {kind}; set budget.usd_per_gpu_hour")
    else:
        lines.append(f"money: about ${gpu_hours * rate:,.2f} at ${rate:.2f} per GPU-hour ({told})")
    if budget.gpu_hours is not None:
        lines.append(_cap("GPU-hours", budget.gpu_hours, so_far.gpu_hours, gpu_hours))
    if budget.usd is not None and rate is not None:
        lines.append(_cap("US dollars", budget.usd, so_far.usd, gpu_hours * rate))
    return lines


def _spent(look: Look) -> Spent:
    """Of all attempts in the ledger so far."""
    attempts = [attempt for record in look.now.records.values() for attempt in record.attempts]
    return spent(attempts, look.study.resources.gpu, look.study.budget.usd_per_gpu_hour)


def _cap(unit: str, cap: float, spent: float, needed: float) -> str:
    enough = "enough" if spent + needed <= cap else f"about {spent + needed - cap:.3g} too little"
    return f"budget: {cap:g} {unit}, {spent:.3g} spent, about {needed:.3g} to come: {enough}"


def _hours_of(planned: Sequence[Planned], left: dict[str, int], pace: Pace) -> dict[str, float]:
    """Key -> hours of each trial that the pace says something of."""
    hours = {}
    known: dict[tuple[str, str], float | None] = {}
    for each in planned:
        if each.key in left:
            place = each.cell_name, each.arm
            if place not in known:
                known[place] = pace.of(*place)
            seconds = known[place]
            if seconds is not None:
                hours[each.key] = seconds * left[each.key] / 3600
    return hours


def describe_memory(study: Study, shape: tuple[int, int, int]) -> list[str]:
    """GPU memory of the largest trial, and the share that it needs."""
    if not study.resources.gpu:
        return []
    peak = max(peak_bytes(cell.train, study.score, cell.latent_dim, cell.images, shape) for cell in study.cells) / 1e9
    fits = [f"gpu: {_share(peak, size):g} of {size} GB" for size in (16, 24, 80)]
    ours = f"gpu: {study.resources.gpu:g} is enough from {peak / study.resources.gpu:.0f} GB on"
    return [f"GPU memory: about {peak:.1f} GB per trial at its peak, so at least {', '.join(fits)}; {ours}"]


def _share(peak: float, size: int) -> float:
    """The share of a GPU of `size` GB that holds `peak` GB, as one over a whole number of trials; 1 at most."""
    return round(1 / max(1, int(size / peak)), 3)


def describe_power(study: Study) -> list[str]:
    """What the design can detect, per pair of baseline and arm with the fewest pairs."""
    shared = {
        name: len(set(study.arms[study.baseline].replicates) & set(arm.replicates))
        for name, arm in study.arms.items()
        if name != study.baseline
    }
    if not shared:
        return ["one arm only: nothing is compared with the baseline"]
    pairs, cells = min(shared.values()), len(study.cells)
    few = [name for name, number in shared.items() if number == pairs]
    if pairs == 0:
        return [f"arm {few[0]} shares no replicate with the baseline: no pairs, and so no paired comparison"]
    found = [expm1(Design(pairs, cells).detectable(Spread(sd, tau=_CELL_SD))) for sd in _SPREADS]
    lines = []
    design = f"{cells} {'cell' if cells == 1 else 'cells'} x {pairs} {'pair' if pairs == 1 else 'pairs'}"
    if cells * pairs > 1 and found[0] < float("inf"):
        told = ", ".join(f"{each:+.0%} if s = {sd:g}" for each, sd in zip(found, _SPREADS, strict=True))
        across = "" if cells == 1 else f", between cells tau = {_CELL_SD:g}"
        lines.append(
            f"smallest improvement found with {POWER:.0%} power at p < 0.05 by {design}: {told} (assumed standard "
            f"deviation of log MMD between runs{across}, uncorrelated pairs; t test)"
        )
    runs = study.arms[study.baseline].replicates.count
    if pairs == 1 < runs:
        lines.append(
            f"arm {few[0]} is one run against {runs}: by its rank p is 1/{runs + 1} = {1 / (runs + 1):.2g} at best"
        )
    elif pairs < _EXACT_TEST_PAIRS:
        lines.append(
            f"{design}: no distribution-free test of a single cell can reach p < 0.05 with fewer than "
            f"{_EXACT_TEST_PAIRS} pairs; here p is {smallest_p(pairs):.2g} at least"
        )
    if cells > 1:
        lines.append(f"over {cells} cells the smallest p of such a test is 2/2^{cells} = {smallest_p(cells):.2g}")
    return lines


def warnings(study: Study) -> list[str]:
    """What is probably not meant."""
    lines = []
    for cell in study.cells:
        for arm, prior in cell.priors.items():
            every, last = getattr(prior, "update_every", 0), getattr(prior, "train_epochs", 0)
            if every > min(last, study.horizons[-1]):
                lines.append(f"arm {arm} is never updated within {study.horizons[-1]} epochs: see its update_every")
        for one, other in combinations(cell.priors, 2):
            if cell.priors[one] == cell.priors[other]:
                lines.append(f"arms {one} and {other} are the same trials under two names")
    return list(dict.fromkeys(lines))  # an arm is named once, not in every cell


def passed_horizons(look: Look) -> list[str]:
    """Horizons that joined the study when trials were past them already, where their networks are gone."""
    passed: Counter[int] = Counter()
    for key in look.states:
        record = look.now.records.get(key)
        if record is not None and record.horizons is not None:
            at = max(record.horizon, checkpointed(record))
            passed.update(each for each in look.study.horizons if each <= at and each not in record.horizons)
    return [
        f"horizon {horizon} is new to {number} {'trial that was' if number == 1 else 'trials that were'} past it "
        "already: there are no full scores and images of that epoch, unless their folders are moved away and they are "
        "trained anew"
        for horizon, number in sorted(passed.items())
    ]
