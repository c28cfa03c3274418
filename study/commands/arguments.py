"""What several commands take."""

from pathlib import Path

import click

FILE = click.Path(path_type=Path)
