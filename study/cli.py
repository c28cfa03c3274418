"""The command line: `study`, same as `python -m study`."""

import sys
from typing import Any

import click

from analysis.errors import ResultsError
from qgan.errors import InputError
from study.commands.data import data
from study.commands.gains import gains
from study.commands.init import init
from study.commands.plan import plan
from study.commands.priors import priors
from study.commands.qpu import qpu
from study.commands.rehearsal import rehearsal
from study.commands.report import report
from study.commands.run import run
from study.commands.schema import schema
from study.commands.status import status
from study.commands.trial import trial
from study.exit_codes import INPUT, INTERRUPTED
from study.storage import sentence

# what the extras `cpu` and `gpu` add to the base
_EXTRAS = ("torch", "ray", "optuna", "qiskit", "qiskit_aer", "qiskit_ionq")


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
            click.echo(f"study: {sentence(error) if isinstance(error, OSError) else error}", err=True)
            return ctx.exit(INPUT)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if ctx.params["verbose"] or missing not in _EXTRAS:
                raise
            click.echo(
                f"study: {ctx.invoked_subcommand} needs {missing}, of the extra `cpu`, or `gpu` for CUDA; install it "
                "with: pip install --editable '.[cpu]'",
                err=True,
            )
            return ctx.exit(INPUT)
        except KeyboardInterrupt:
            click.echo("study: stopped", err=True)
            return ctx.exit(INTERRUPTED)


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="steel-qgan-study")
@click.option("-v", "--verbose", is_flag=True, help="Show tracebacks.")
def main(verbose: bool) -> None:
    """Does a quantum-circuit Born machine make better steel micrographs?

    A study trains replicate WGANs on five-channel EBSD patches, arm against arm, and reports relative
    improvement with honest intervals. Start with: study init my_study.yaml
    """


for command in (data, gains, init, plan, priors, qpu, rehearsal, report, run, schema, status, trial):
    main.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
