"""`study priors`: what an arm can be."""

import click

from qgan.errors import InputError, nearest


@click.command()
@click.argument("name", required=False)
def priors(name: str | None) -> None:
    """List the priors that an arm can have, or the settings of one."""
    from rich.console import Console

    from qgan.prior_settings import PRIOR_SETTINGS
    from study.priors_table import priors_table, settings_table

    if name is not None and name not in PRIOR_SETTINGS:
        raise InputError(f"{name} is no prior{nearest(name, PRIOR_SETTINGS)}; allowed: {', '.join(PRIOR_SETTINGS)}")
    Console().print(settings_table(name) if name else priors_table())
