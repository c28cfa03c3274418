"""`study rehearsal`: a local server that speaks IonQ's API."""

from pathlib import Path

import click


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8470, show_default=True, help="0: any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others than this machine "
              "can reach it only if you say so here.")  # fmt: skip
@click.option("--spam", is_flag=True, help="Errors of preparation and measurement too, which IonQ's models leave out.")
@click.option("--queue", "queue_s", type=click.FloatRange(min=0), default=0.0, help="Seconds that a job waits.")
@click.option("--execution", "execution_s", type=click.FloatRange(min=0), default=0.0, help="Seconds that a job runs.")
@click.option("--fault", "faults", multiple=True, metavar="WHERE:WHAT[:after][@CHANCE|#NUMBER]",
              help="What goes wrong, e.g. post:504:after@0.1, job:500@0.05, post:fail#2; may be repeated.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of shots and faults.")
@click.option("--log", type=click.Path(path_type=Path), help="File to which every request adds a line of JSON.")
@click.option("--orders", type=click.Path(path_type=Path), help="File of all jobs: the next server goes on with them.")
def rehearsal(
    port: int,
    host: str,
    spam: bool,
    queue_s: float,
    execution_s: float,
    faults: tuple[str, ...],
    seed: int,
    log: Path | None,
    orders: Path | None,
) -> None:
    """Serve IonQ's API v0.4 here, with simulated machines, until Ctrl-C. Nothing costs anything."""
    from qgan.ionq.rehearsal.server import RehearsalServer

    server = RehearsalServer(
        port=port,
        host=host,
        spam=spam,
        queue_s=queue_s,
        execution_s=execution_s,
        faults=faults,
        seed=seed,
        log=log,
        orders=orders,
    )
    names = ", ".join(machine.name for machine in server.service.machines.values() if machine.status == "available")
    click.echo(f"rehearsing at {server.url}: {names}; Ctrl-C ends it")
    try:
        server.serve()
    except KeyboardInterrupt:
        paid = sum(job.paid for job in server.service.jobs.values())
        click.echo(f"{len(server.service.jobs)} jobs, which IonQ would have charged ${paid:,.2f}")
    finally:
        server.close()
