"""The command line: `study`, same as `python -m study`."""

import shlex
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.errors import ResultsError
from qgan.errors import InputError
from study.commands.rehearsal import rehearsal
from study.data import data

if TYPE_CHECKING:
    from analysis.results import Results
    from study.plan import Planned
    from study.spec import Study
    from study.trainable import Job

FAILED_TRIALS = 3  # exit code of a study that finished with failures
STOPPED = 130  # exit code after Ctrl-C
_GO_ON = "the same command goes on from the last checkpoints"

_FILE = click.Path(path_type=Path)


class _Main(click.Group):
    """Users' errors are one sentence and exit code 1; `-v` shows the traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # `study ... | head`: click ends quietly
        except (InputError, ResultsError, OSError) as error:
            if ctx.params["verbose"]:
                raise
            if isinstance(error, OSError):
                click.echo(f"study: {error.filename or 'the system says'}: {error.strerror or error}", err=True)
            else:
                click.echo(f"study: {error}", err=True)
            return ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("study: stopped", err=True)
            return ctx.exit(STOPPED)


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="steel-qgan-study")
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")
def main(verbose: bool) -> None:
    """Does a quantum-circuit Born machine make better steel micrographs?

    A study trains replicate WGANs on five-channel EBSD patches, arm against arm, and reports relative
    improvement with honest intervals. Start with: study init my_study.yaml
    """


main.add_command(data)
main.add_command(rehearsal)


@main.command()
@click.argument("file", type=_FILE)
@click.option("--data", "patches", type=_FILE, help="Parquet file of `study data` to study; default: a synthetic set.")
def init(file: Path, patches: Path | None) -> None:
    """Write a commented study file to start from."""
    from study.template import write

    write(file, patches)
    click.echo(f"{file} written; next: study plan {file}")


@main.command()
@click.argument("file", type=_FILE)
@click.option("--probe", is_flag=True, help="Run 20 steps of each network here, to know the time.")
@click.option("--address", help="Ray cluster whose size gives the wall time; default: this machine.")
def plan(file: Path, probe: bool, address: str | None) -> None:
    """Show what would run and what is done; time, money, memory, power. Changes nothing."""
    from rich.console import Console

    from study import patches
    from study.estimate import estimate
    from study.nodes import of_cluster, this_machine
    from study.pace import from_ledger
    from study.progress import state_table

    study, planned, states = _look(file)
    nodes = of_cluster(address, study.resources) if address is not None else [this_machine(study.resources)]
    shape = patches.shape(study)
    Console().print(state_table(planned, states))
    pace = from_ledger(study, planned)
    if probe:
        from study.probe import probe as run_probe  # torch takes seconds to import

        pace = run_probe(study, planned, shape, click.echo)
    click.echo("\n".join(estimate(study, planned, states, pace, nodes, shape)))


@main.command()
@click.argument("name", required=False)
def priors(name: str | None) -> None:
    """List the priors that an arm can have, or the settings of one."""
    from rich.console import Console

    from qgan.prior_settings import PRIOR_SETTINGS
    from study.document import nearest
    from study.priors_table import priors_table, settings_table

    if name is not None and name not in PRIOR_SETTINGS:
        raise InputError(f"{name} is no prior{nearest(name, PRIOR_SETTINGS)}; allowed: {', '.join(PRIOR_SETTINGS)}")
    Console().print(settings_table(name) if name else priors_table())


@main.command()
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    import json

    from study.schema import schema as make

    click.echo(json.dumps(make(), indent=1))


@main.command()
@click.argument("file", type=_FILE)
@click.option("--address", help="Ray cluster to join (`auto` on its head); default: Ray on this machine.")
@click.option("--retry", type=click.Choice(["failed"]), help="Run failed trials again.")
@click.option("--limit", type=click.IntRange(min=1), help="Run at most this many trials now.")
@click.option("--dry-run", is_flag=True, help="Say what would run, and stop.")
@click.pass_context
def run(
    ctx: click.Context, file: Path, address: str | None, retry: str | None, limit: int | None, dry_run: bool
) -> None:
    """Run what is missing of a study; running it again changes nothing that is done."""
    from study.ledger import Ledger
    from study.plan import states as look

    study, planned = _planned(file)
    # once this process holds the study, a trial that says it is running has lost its launcher
    wanted = {"pending", "running", *([retry] if retry else [])}
    ledger, longest = Ledger(study.folder), study.horizons[-1]
    if dry_run:
        states = look(planned, ledger, longest)
        keys = [key for key, state in states.items() if state in wanted - {"running"}][:limit]
        for each in planned:
            if each.key in keys:
                click.echo(f"{each.key}  {each}")
        click.echo(f"{len(keys)} trials would run")
        return
    with ledger.exclusive() as mine:
        if not mine:
            raise InputError(f"another `study run` is at work on {study.folder}; `study status` shows how far it is")
        states = look(planned, ledger, longest)
        keys = [key for key, state in states.items() if state in wanted][:limit]
        _sweep(study, planned, states, keys, address)
        states = look(planned, ledger, longest)
    if keys:
        click.echo(f"{_tally(states)}; results in {study.folder}")
    else:
        click.echo(f"nothing to do: {_tally(states)}")
    unfinished = [key for key in keys if states[key] not in ("done", "failed")]
    if unfinished:
        click.echo(f"study: stopped with {len(unfinished)} trials unfinished; {_GO_ON}", err=True)
        ctx.exit(STOPPED)
    failed = sum(state == "failed" for state in states.values())
    if failed:
        click.echo(f"{failed} failed: `study status {file}` names the causes, `--retry failed` runs them again")
        ctx.exit(FAILED_TRIALS)
    if keys:
        click.echo(f"next: study report {file}")


@main.command()
@click.argument("file", type=_FILE)
def status(file: Path) -> None:
    """Show done, running, failed and pending trials per cell and arm, and why trials failed."""
    from rich.console import Console

    from study.ledger import Ledger
    from study.progress import state_table

    study, planned, states = _look(file)
    Console().print(state_table(planned, states))
    click.echo(_tally(states))
    for each in planned:
        try:
            record = Ledger(study.folder).trial(each.key).record()
        except ResultsError:
            continue  # damaged: it counts as pending and will be written anew
        if record is not None and record.cause is not None and states[each.key] == "failed":
            click.echo(f"\n{each}: {record.cause['error']}\n  {record.command}")
        for warning in record.warnings if record is not None else []:
            click.echo(f"\n{each}: warning at {warning}")


@main.command()
@click.argument("file", type=_FILE)
@click.option("--arm", required=True, help="Arm of the study file.")
@click.option("--cell", help="Grid keys that leave one cell: latent_dim=8,images=256.")
@click.option("--replicate", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), help="Train so long instead of to the longest horizon.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change the study file's values.")
@click.option("--pdb", is_flag=True, help="Stop in the debugger where an error is raised.")
@click.option("--profile", is_flag=True, help="Write a torch profile of the second epoch, and print what costs most.")
@click.option(
    "--downstream",
    is_flag=True,
    help="Train one generator per microstructure, then classifiers with and without its images.",
)
@click.pass_context
def trial(
    ctx: click.Context,
    file: Path,
    arm: str,
    cell: str | None,
    replicate: int,
    epochs: int | None,
    assignments: tuple[str, ...],
    pdb: bool,
    profile: bool,
    downstream: bool,
) -> None:
    """Train one trial in this process, without Ray and without touching the study's ledger."""
    from dataclasses import replace

    from study import patches, provenance
    from study.debug import run_here
    from study.plan import choose
    from study.spec import load

    study = load(file, [*assignments, *([f"grid.epochs=[{epochs}]"] if epochs else [])])
    chosen = choose(study, arm, cell, replicate)
    folder = study.folder / "debug" / chosen.key
    if folder.exists():
        shutil.rmtree(folder)
    job = replace(_job(study, chosen, patches.prepare(study, click.echo), folder), command=provenance.command())
    click.echo(f"{chosen}, key {chosen.key}")
    if downstream:
        from study.downstream import run

        done = run(job, study.downstream)
    else:
        done = run_here(job, pdb, profile)
    if not done:
        ctx.exit(FAILED_TRIALS)
    click.echo(f"files in {folder}")


@main.command()
@click.argument("source", metavar="FILE|RESULTS", type=_FILE)
@click.option("-o", "--output", type=_FILE, help="HTML file to write; default: report.html beside the results.")
@click.option("--figure", metavar="NUMBER|NAME", help="One figure instead: -o FILE.svg, .png, or its numbers as .csv.")
@click.option("--cell", help="With --figure: only cells with these grid values: latent_dim=8,images=256.")
@click.option("--export", type=_FILE, metavar="FOLDER", help="The tables behind the report instead (CSV and Parquet).")
def report(source: Path, output: Path | None, figure: str | None, cell: str | None, export: Path | None) -> None:
    """Write one HTML file with effects, intervals, figures and provenance of a study, finished or not."""
    from analysis import load as load_results
    from analysis import summary
    from analysis.report import write_report

    if export is not None and (figure is not None or output is not None):
        raise click.UsageError("--export FOLDER writes tables only: leave out --figure and -o")
    if cell is not None and figure is None:
        raise click.UsageError("--cell needs --figure: a report and its tables show all cells")
    folder = _results(source)
    results = load_results(folder)
    if export is not None:
        from analysis.export import export_tables

        export_tables(results, export)
        click.echo(f"tables: {export.absolute()}, explained in columns.csv")
    elif figure is not None:
        for path in _figure(results.only(cell) if cell else results, figure, output):
            click.echo(f"figure: {path.absolute()}")
    else:
        written = write_report(results, output or folder / "report.html")
        click.echo(summary(results))
        click.echo(f"report: {written.absolute()}")


def _figure(results: "Results", which: str, output: Path | None) -> list[Path]:
    """Draw one figure into `output`, or in all formats beside the results."""
    from analysis.figures import catalogue, files

    name = catalogue.name_of(which)
    folder = results.folder / "figures"
    outputs = [output] if output else [folder / f"{name}{suffix}" for suffix in files.SUFFIXES]
    for path in outputs:
        files.require_suffix(path)
    if output is None:
        folder.mkdir(exist_ok=True)
    drawn = catalogue.draw(results, name)
    for path in outputs:
        files.save(drawn.figure, drawn.frame, path)
    return outputs


def _results(source: Path) -> Path:
    """The results folder that a study file, or the folder itself, names."""
    from analysis.tables import read_plan
    from study.spec import load

    folder = source
    if not source.is_dir():
        study = load(source)
        folder = study.folder
        if (folder / "plan.json").exists() and read_plan(folder).study_file != study.document.text:
            click.echo(
                f"note: {source} has changed since `study run`; the report shows the study as it was run", err=True
            )
    return folder


def _planned(file: Path) -> "tuple[Study, list[Planned]]":
    """A study file and its trials."""
    from study.plan import trials
    from study.spec import load

    study = load(file)
    return study, trials(study)


def _look(file: Path) -> "tuple[Study, list[Planned], dict[str, str]]":
    """A study file, its trials, and the state of each key."""
    from study.ledger import Ledger
    from study.plan import states

    study, planned = _planned(file)
    return study, planned, states(planned, Ledger(study.folder), study.horizons[-1])


def _sweep(
    study: "Study", planned: "list[Planned]", states: dict[str, str], keys: list[str], address: str | None
) -> None:
    """Run the trials of `keys`; the plan on disk follows the study file even where nothing is left to run."""
    from study import patches
    from study.ledger import Ledger
    from study.plan import record
    from study.progress import Progress

    ledger = Ledger(study.folder)
    if keys:
        from study import launch  # Ray takes seconds to import

        launch.connect(address, study.resources)
    path = patches.prepare(study, click.echo)
    ledger.write_plan(record(study, planned, path))
    if keys:
        first = {each.key: each for each in reversed(planned)}
        jobs = [_job(study, first[key], path, ledger.trial(key).path, states[key] == "failed") for key in keys]
        click.echo(f"{len(jobs)} trials to run, up to {study.horizons[-1]} epochs each")
        launch.sweep(jobs, ledger, Progress(planned, states), study.resources)


def _job(study: "Study", planned: "Planned", path: Path, folder: Path, retry: bool = False) -> "Job":
    from study.trainable import Job

    cell = ",".join(f"{name}={value}" for name, value in planned.cell.items())
    words = ["study", "trial", str(study.document.path), "--arm", planned.arm, "--cell", cell]
    return Job(
        planned=planned,
        horizons=study.horizons,
        patches=path,
        folder=folder.absolute(),
        features=(study.results / "data").absolute(),
        command=shlex.join([*words, "--replicate", str(planned.replicate), "--pdb"]),
        cpus=study.resources.cpu,
        gpus=study.resources.gpu,
        retry=retry,
    )


def _tally(states: dict[str, str]) -> str:
    from study.plan import STATES

    numbers = Counter(states.values())
    return f"{len(states)} trials: " + ", ".join(f"{numbers[state]} {state}" for state in STATES if numbers[state])


if __name__ == "__main__":
    sys.exit(main())
