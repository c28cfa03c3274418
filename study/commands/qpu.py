"""`study qpu`: the final trial, its circuits on a machine that one trial at a time may use."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qgan.errors import InputError, Stopped
from study.commands.arguments import FILE
from study.exit_codes import BUDGET, FAILED_TRIALS, INPUT, INTERRUPTED

if TYPE_CHECKING:
    from study.qpu.final import Final
    from study.qpu.money import Bill
    from study.qpu.run import Run

_CODES = {"done": 0, "refused": INPUT, "stopped": BUDGET, "failed": FAILED_TRIALS, "lost": FAILED_TRIALS,
          "detached": INTERRUPTED}  # fmt: skip


@click.command()
@click.argument("file", type=FILE, required=False)
@click.option("--backend", help="The ladder in one word: exact, aer:aria-2, exact:aria-2, rehearsal, qpu.NAME, ...; "
              "default: the study file's.")  # fmt: skip
@click.option("--max-usd", type=click.FloatRange(min=0, min_open=True), help="Cap of all that this run orders.")
@click.option("--yes", is_flag=True, help="Order without asking, and accept a degraded machine; needs a cap.")
@click.option("--plan", "plan_only", is_flag=True, help="Show circuits, shots, price and time, and stop.")
@click.option("--run", "run_name", help="Name of the run's folder; another name is another run, paid anew.")
@click.option("--retry", type=click.Choice(["failed"]), help="Order again what the service let fail.")
@click.option("--url", help="Service that speaks IonQ's API, such as one of `study rehearsal`.")
@click.option("--address", help="Ray cluster to join (`auto` on its head); default: Ray on this machine.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change the study file's values.")
@click.option("--replay", "recorded", type=FILE, metavar="JOURNAL", help="Repeat a recorded run offline instead.")
@click.pass_context
def qpu(
    ctx: click.Context,
    file: Path | None,
    backend: str | None,
    max_usd: float | None,
    yes: bool,
    plan_only: bool,
    run_name: str | None,
    retry: str | None,
    url: str | None,
    address: str | None,
    assignments: tuple[str, ...],
    recorded: Path | None,
) -> None:
    """Run the final trial on the machine; killed or detached, the same command goes on and buys nothing twice."""
    if (file is None) == (recorded is None):
        raise click.UsageError("name a study file, or a recorded run with --replay")
    if recorded is not None:
        if any((backend, max_usd, yes, plan_only, run_name, retry, url, address)):
            raise click.UsageError("--replay takes --set alone: nothing is ordered")
        ctx.exit(_replay(recorded, list(assignments)))
    assert file is not None
    ctx.exit(_run(file, list(assignments), backend, max_usd, yes, plan_only, run_name, retry == "failed", url, address))


def _run(
    file: Path,
    assignments: list[str],
    backend: str | None,
    max_usd: float | None,
    yes: bool,
    plan_only: bool,
    run_name: str | None,
    retry_failed: bool,
    url: str | None,
    address: str | None,
) -> int:
    """The exit code."""
    from qgan.ionq.client import Ionq
    from study.lease import Lease
    from study.qpu.final import final
    from study.qpu.ladder import Rung
    from study.qpu.replay import require_same
    from study.spec import load
    from study.storage import storage_of

    if backend is not None:
        try:
            Rung(backend)
        except InputError as error:
            raise InputError(f"--backend {error}") from None
    study = load(file, assignments)
    found = final(study, backend).on_rung()
    if url is not None and found.rung.simulated:
        raise InputError(f"--url {url}: backend {found.rung.word} is simulated in the trial's own process")
    if url is not None and found.rung.rehearsed and not Ionq(found.rung.machine, url).loopback:
        raise InputError(
            f"--url {url}: backend {found.rung.word} is rehearsed, at a server of this machine; to order there, name "
            f"the machine: --backend {found.rung.machine}"
        )
    folder = found.folder / _checked(run_name or found.run_name)
    require_same(found, folder)
    cap = max_usd if max_usd is not None else found.settings.usd
    if cap is not None and not math.isfinite(cap):
        raise InputError(f"a cap of {cap} US dollars holds nothing back: name an amount (--max-usd, or qpu.usd)")
    paid = not (found.rung.simulated or found.rung.rehearsed)
    if paid and yes and cap is None and not plan_only:
        click.echo("study: --yes needs a cap of the money: --max-usd X, or qpu.usd in the study file", err=True)
        return BUDGET
    with Lease(storage_of(folder)).hold() as mine:
        if not mine:
            holder = Lease(storage_of(folder)).holder
            raise InputError(f"another `study qpu` is at work on {folder} ({holder}); wait for it, or stop it")
        from study.qpu import launch  # Ray takes seconds to import

        launch.connect(address, found, trains=not plan_only)
        run = None
        if not found.rung.simulated:
            try:
                run, bill = _planned(found, folder, url, yes, retry_failed)
            except Stopped as stopped:
                click.echo(f"study: {stopped}", err=True)
                return BUDGET
            click.echo("\n".join(bill.lines()))
            if plan_only:
                return 0
            allowed = _allowed(found, bill, cap, yes)
            if allowed is None:
                return BUDGET
            run = _capped(run, allowed)
        else:
            click.echo(f"{found.circuits} circuits of {found.prior.shots} shots, simulated ({found.rung.word})")
            if plan_only:
                return 0
        return _train(found, folder, run, assignments)


def _checked(name: str) -> str:
    if not name.replace("-", "").replace(".", "").replace("_", "").isalnum() or name.startswith("."):
        raise InputError(f"--run {name}: is no name for a folder; use letters, digits, '-', '_' and '.'")
    return name


def _planned(found: "Final", folder: Path, url: str | None, yes: bool, retry_failed: bool) -> "tuple[Run, Bill]":
    """The run, and what it costs at the machine as it is now; nothing is ordered."""
    from dataclasses import replace
    from datetime import date

    from qgan.ionq.journal import Journal
    from qgan.ionq.prices import Rates, rates
    from study.qpu import launch
    from study.qpu.money import bill
    from study.qpu.run import Run, service_url

    run = Run(
        folder=folder,
        leases=found.results.parent / "machines",
        machine=found.rung.machine,
        url=service_url(url, found.rung.rehearsed),
        ansatz=found.ansatz,
        shots=found.prior.shots,
        rates=Rates(0, 0, 0, 0, date.today(), "unknown"),
        max_usd=0.0,
        debiasing=found.settings.debiasing,
        degraded=yes,
        retry_failed=retry_failed,
    )
    surveyed = launch.survey(run)
    prices = surveyed["rates"] or rates(found.rung.machine)
    if (warning := prices.warning(date.today())) is not None:
        click.echo(f"note: {warning}")
    run = replace(run, rates=prices)
    return run, bill(found, surveyed["machine"], prices, Journal(run.journal))


def _capped(run: "Run", usd: float) -> "Run":
    from dataclasses import replace

    return replace(run, max_usd=usd)


def _allowed(found: "Final", bill: "Bill", cap: float | None, yes: bool) -> float | None:
    """What may be ordered, US dollars; None where it is not confirmed, or too little for the plan."""
    from math import ceil

    machine, amount = bill.machine.name, ceil(bill.usd)
    if cap is not None and cap < bill.usd:
        click.echo(
            f"study: the plan costs up to ${bill.usd:,.2f}, more than the cap of ${cap:,.2f}; raise --max-usd, or "
            "lower shots, iterations or update events. Nothing is ordered",
            err=True,
        )
        return None
    if found.rung.rehearsed:
        click.echo(f"{machine} is rehearsed here: nothing is paid")
        return cap or float(max(amount, 1))
    if yes:
        return cap
    words = f"{amount} {machine}"
    click.echo(f"to order circuits for up to ${amount:,} on {machine}, type: {words}")
    try:
        typed = click.prompt("order", default="", show_default=False)
    except click.Abort:
        typed = ""
    if typed.split() != words.split():
        click.echo("study: not confirmed, nothing is ordered; without a terminal: --yes --max-usd X", err=True)
        return None
    return cap or float(amount)


def _train(found: "Final", folder: Path, run: "Run | None", assignments: list[str]) -> int:
    from dataclasses import replace

    from qgan.ionq.journal import Journal
    from study import patches, plan, provenance, trainable
    from study.ledger import Ledger
    from study.qpu import calibration, launch
    from study.qpu.replay import write_record
    from study.qpu.summary import write_summary

    study = found.study
    path = patches.prepare(study, click.echo)
    ledger = Ledger(study.folder)
    plan.ensure_record(study, ledger, path)
    gains = found.saved_gains()
    if gains is None:
        click.echo(f"calibrating the gains on {found.settings.calibration}: no circuit of the machine is spent")
        gains = launch.calibrate(calibration.calibration_job(found, path))
        calibration.keep(found, gains)
        click.echo(f"gains: a {gains.a:.4g}, c {gains.c:.4g}; kept in {found.gains_file}")
    found = found.with_gains(gains)
    write_record(found, folder, assignments)
    job = replace(trainable.job(study, found.planned, path, folder), command=provenance.command())
    ended = launch.run(job, run)
    if run is not None and run.journal.is_dir():  # the actor may have died with its last orders
        write_summary(Journal(run.journal), folder)
    if ended.told:
        click.echo(f"study: {ended.told}", err=True)
    if ended.ended == "done":
        _record_theta(found, folder)
        click.echo(f"done: {folder}; next: study report {study.document.path}")
    return _CODES[ended.ended]


def _record_theta(found: "Final", folder: Path) -> None:
    """theta.json: the trained circuit, so that a replay can be compared with it."""
    import json

    from qgan.files import whole_file
    from study.qpu.replay import theta

    with whole_file(folder / "theta.json") as temporary:
        temporary.write_text(json.dumps(theta(folder / "checkpoint.pt", found)) + "\n")


def _replay(recorded: Path, assignments: list[str]) -> int:
    """The exit code."""
    import json
    import shutil
    import tempfile

    from study import patches
    from study.qpu.replay import Recording, replay, theta

    recording = Recording(recorded)
    with tempfile.TemporaryDirectory() as scratch:
        study = recording.study(Path(scratch), assignments)
        found = recording.final(study)
        folder = found.results / "debug" / f"replay-{recording.folder.name}"
        if folder.exists():
            shutil.rmtree(folder)
        click.echo(f"{found.planned}: {found.circuits} circuits out of {recording.journal}; nothing is ordered")
        try:
            job = replay(recording, found, patches.prepare(study, click.echo), folder, lambda epoch: None)
        except Stopped as stopped:
            click.echo(f"study: {stopped}", err=True)
            return BUDGET
    again, before = theta(folder / "checkpoint.pt", found), recording.folder / "theta.json"
    if not before.exists():
        click.echo(f"the recorded run has not come to its end: nothing to compare with; files in {job.folder}")
        return 0
    same = again == json.loads(before.read_text())
    click.echo(f"the final theta is {'the recorded one, bit for bit' if same else 'NOT the recorded one'}")
    click.echo(f"files in {job.folder}")
    return 0 if same else FAILED_TRIALS
