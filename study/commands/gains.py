"""`study gains`: Optuna searches the gain sequence of SPSA."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qgan.errors import InputError
from study.commands.arguments import FILE
from study.exit_codes import FAILED_TRIALS, INTERRUPTED

if TYPE_CHECKING:
    from analysis.inference import Interval
    from qgan.prior_settings import Gains
    from study.gains.drive import Pool
    from study.gains.result import Result
    from study.gains.search import Search, Tried
    from study.gate import Closed
    from study.lease import Lease
    from study.ledger import Ledger
    from study.spec import Study
    from study.trainable import Job


@click.command()
@click.argument("file", type=FILE)
@click.option("--address", help="Ray cluster to join (`auto` on its head); default: Ray on this machine.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    help="Candidates at once; 1 gives the same suggestions every time. Default: as many as keep all slots busy.",
)
@click.option("--here", is_flag=True, help="One cycle after the other in this process, without Ray.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change the study file's values.")
@click.option("--dry-run", is_flag=True, help="Say what would run and how long, and stop.")
@click.pass_context
def gains(
    ctx: click.Context,
    file: Path,
    address: str | None,
    concurrency: int | None,
    here: bool,
    assignments: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Search the gains a, c, A, alpha, gamma of SPSA at frozen networks.

    Stopped or killed, the same command goes on; the result compares the best gains with SPSA's own calibration on
    fresh seeds, and is a file that an arm takes by name.
    """
    from study import patches
    from study.gains import start as starts
    from study.gains.estimate import estimate
    from study.gains.journal import Journal
    from study.gains.run import identity
    from study.gains.search import require_same
    from study.ledger import Ledger
    from study.nodes import of_cluster, slots, this_machine
    from study.spec import load

    if here and address is not None:
        raise click.UsageError("--here runs without Ray: leave out --address")
    study = load(file, assignments)
    settings = starts.required(study)
    ledger = Ledger(study.folder)
    start = starts.start_job(study, patches.file(study), ledger)
    nodes = of_cluster(address, study.resources) if address is not None else [this_machine(study.resources)]
    at_once = 1 if here else max(1, slots(study.resources, nodes))
    tried = require_same(Journal(ledger.storage), identity(study, start))
    trained = starts.state(study, start, ledger) == "done"
    click.echo("\n".join(estimate(study, start, at_once, trained, tried, click.echo)))
    if dry_run:
        return
    lease = ledger.lease()
    with lease.hold() as mine:
        if not mine:
            raise InputError(f"another process is at work on {study.folder} ({lease.holder}); wait for it, or stop it")
        # a batch system sends SIGTERM and means Ctrl-C; a script's background job ignores SIGINT, so it is not sent on
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            candidates = concurrency or max(1, at_once // settings.seeds)
            ctx.exit(_search(study, start, ledger, lease, address, here, candidates))
        except KeyboardInterrupt:
            click.echo("study: stopped; the same command goes on where it was", err=True)
            ctx.exit(INTERRUPTED)


def _search(
    study: "Study",
    start: "Job",
    ledger: "Ledger",
    lease: "Lease",
    address: str | None,
    here: bool,
    concurrency: int,
) -> int:
    """The exit code."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from study import patches, plan
    from study.gains import run
    from study.gains import start as starts
    from study.gains.journal import Journal

    if not here:
        from study import cluster, connection  # Ray takes seconds to import

        terminated = signal.getsignal(signal.SIGTERM)
        connection.connect(address, study.resources)
        cluster.require_shared(study)
        signal.signal(signal.SIGTERM, terminated)  # Ray has put its own in place
    path = patches.prepare(study, click.echo)
    plan.ensure_record(study, ledger, path)
    if starts.state(study, start, ledger) != "done":
        closed = _train(study, start, ledger, lease, here)
        if closed is not None and closed.exit_code != INTERRUPTED:
            click.echo(f"study: {closed.reason}", err=True)
            return closed.exit_code
    state, record = starts.state(study, start, ledger), ledger.trial(start.planned.key).record()
    if state != "done":
        if record is None or record.cause is None:
            raise KeyboardInterrupt  # the sweep has taken it
        click.echo(f"the networks could not be trained: {record.cause['error']}", err=True)
        return FAILED_TRIALS
    pool = _pool(study, here)
    calibration = run.calibrate(study, start, ledger, pool)
    if calibration.gains is None:
        click.echo(f"SPSA's gains could not be calibrated: {calibration.cause}", err=True)
        return FAILED_TRIALS
    click.echo(f"SPSA's own calibration: {_gains(calibration.gains)}")
    console = Console()
    columns = (TextColumn("candidates"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    settings = starts.required(study)
    task = bar.add_task("", total=settings.candidates)

    def ended(tried: "Tried") -> None:
        if not lease.held:
            raise InputError(f"another process has taken {study.folder} over while this one did not answer")
        bar.update(task, completed=tried.candidate.number + 1)
        console.print(_line(tried, settings.candidates), markup=False, highlight=False, soft_wrap=True)

    with bar:
        search, found = run.search_gains(
            study, start, ledger, pool, Journal(ledger.storage), calibration, concurrency, ended
        )
    if found is None:
        click.echo("no candidate came to its end: their causes are above", err=True)
        return FAILED_TRIALS
    _tell(search, found, ledger)
    return 0


def _train(study: "Study", start: "Job", ledger: "Ledger", lease: "Lease", here: bool) -> "Closed | None":
    """Train the networks that the cycles begin at, as a trial of the ledger; what stopped it, if anything did."""
    click.echo(f"training the networks to epoch {start.horizons[-1]}, key {start.planned.key}")
    if here:
        from study.debug import run_here

        run_here(start, pdb=False)
        return None
    from study import launch
    from study.gains.start import look
    from study.gate import Gate

    seen = look(study, start, ledger)
    gate = Gate(study.budget, study.resources.gpu, seen.now.records, lease)
    launch.sweep([start], seen, gate)
    return gate.closed


def _pool(study: "Study", here: bool) -> "Pool":
    if here:
        from study.gains.here import Here

        return Here()
    from study.gains.cluster import Cluster

    return Cluster(study.resources)


def _gains(gains: "Gains") -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in vars(gains).items())


def _line(tried: "Tried", candidates: int) -> str:
    """A candidate and what came of it."""
    seeds = f"{len(tried.objectives)} seed" + ("s" if len(tried.objectives) > 1 else "")
    what = {
        "done": f"{tried.mean:.4f} +- {tried.error:.4f}, {seeds}",
        "pruned": f"{tried.mean:.4f}, given up after {seeds}",
    }.get(tried.state, f"failed: {tried.cause}")
    iterations = f", {tried.candidate.iterations} iterations" if tried.candidate.iterations else ""
    return f"[{tried.candidate.number + 1}/{candidates}] {_gains(tried.candidate.gains)}{iterations}: {what}"


def _tell(search: "Search", found: "Result", ledger: "Ledger") -> None:
    """What the search is worth, in words."""
    tried = search.tried()
    states = {state: sum(each.state == state for each in tried) for state in ("done", "pruned", "failed")}
    what = "final loss" if search.settings.objective == "loss" else "log MMD"
    best, calibrated, gain = found.mean(found.of_best), found.mean(found.of_calibrated), found.improvement
    click.echo(f"{len(tried)} candidates: " + ", ".join(f"{n} {state}" for state, n in states.items() if n))
    click.echo(f"best: candidate {found.best.candidate.number}, {_gains(found.best.candidate.gains)}")
    if found.best.candidate.gains == found.calibrated:
        click.echo(f"the best candidate is SPSA's own calibration: the search found nothing better in {len(tried)}")
    elif gain.count < 2:
        click.echo(f"no comparison: {found.failed} of the fresh cycles failed")
    else:
        click.echo(
            f"{what} on {gain.count} fresh seeds: best {best.estimate:.4f} +- {best.error:.4f}, calibrated "
            f"{calibrated.estimate:.4f} +- {calibrated.error:.4f}, before the cycle {found.start_loss:.4f}"
        )
        click.echo(
            f"the best gains lower it by {gain.estimate:.4f} (95 % interval {gain.low:.4f} to {gain.high:.4f}, "
            f"paired t, p = {gain.p:.2g}): " + _verdict(gain)
        )
    for number in search.front() if search.settings.count_circuits else []:
        each = tried[number]
        click.echo(f"front: {each.circuits} circuits, {what} {each.mean:.4f} +- {each.error:.4f}, candidate {number}")
    click.echo(
        f"gains: {ledger.folder / 'gains' / 'gains.json'}, for an arm's `gains:`; curves and importance: study report"
    )


def _verdict(gain: "Interval") -> str:
    if not gain.excludes_zero:
        return "no difference is shown"
    return "better than the calibration" if gain.estimate > 0 else "worse than the calibration: take no gains from here"
