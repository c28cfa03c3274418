"""`study plan`: what would run, what is done, what it costs and can show."""

from pathlib import Path

import click

from study.commands.arguments import FILE


@click.command()
@click.argument("file", type=FILE)
@click.option("--probe", is_flag=True, help="Run 20 steps of each network here, to know the time.")
@click.option("--address", help="Ray cluster whose size gives the wall time; default: this machine.")
def plan(file: Path, probe: bool, address: str | None) -> None:
    """Show what would run and what is done; time, money, memory, power. Changes nothing."""
    from study import patches
    from study.estimate import estimate
    from study.nodes import of_cluster, this_machine
    from study.pace import from_ledger
    from study.plan import look
    from study.progress import console, state_table

    here = look(file)
    study = here.study
    nodes = of_cluster(address, study.resources) if address is not None else [this_machine(study.resources)]
    shape = patches.shape(study)
    console().print(state_table(here))
    pace = from_ledger(here)
    if probe:
        from study.probe import probe as run_probe  # torch takes seconds to import

        pace = run_probe(study, here.planned, shape, click.echo)
    click.echo("\n".join(estimate(here, pace, nodes, shape)))
