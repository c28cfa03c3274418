"""`study schema`: the JSON schema of study files."""

import click


@click.command()
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    import json

    from study.schema import schema as make

    click.echo(json.dumps(make(), indent=1))
