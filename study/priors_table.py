"""`study priors`: every prior with its settings, as a study file takes them."""

from rich.markup import escape
from rich.table import Table

from qgan.prior_settings import PRIOR_SETTINGS
from study.fields import fields_of, summary, written


def priors_table() -> Table:
    """The words after `prior:` and what each prior is."""
    table = Table("prior", "what it is", "settings", title="study priors NAME shows its settings", title_justify="left")
    for name, settings in PRIOR_SETTINGS.items():
        own = [each.name for each in fields_of(settings)]
        table.add_row(name, escape(summary(settings)), ", ".join(own) or "none")
    return table


def settings_table(name: str) -> Table:
    """The settings of one prior with their defaults."""
    settings = PRIOR_SETTINGS[name]
    table = Table("setting", "allowed", "default", "meaning", title=f"prior: {name}", title_justify="left")
    for each in fields_of(settings):
        table.add_row(each.name, escape(each.kind), written(each.default), escape(each.comment))
    table.caption = escape(summary(settings))
    return table
