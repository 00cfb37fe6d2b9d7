"""The command line. A command parses, calls one library function, and prints.

Each command lives in a module of its own that is imported when it is called, so that `predict` and `--help` start
without what the others need.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from typing import Any

import click

from stepdown import __version__
from stepdown.errors import StepdownError, inert, missing_extra

# Command → module and the first line of its help, in the order of a user's day.
_COMMANDS = {
    "demo": "Run the main job on built-in data and models.",
    "init": "Look at data and write a complete, commented recipe.",
    "check": "Look at a recipe's data, teacher and plan before time is spent.",
    "run": "Run a recipe, or take up where an earlier sitting stopped.",
    "label": "Have a teacher label the texts of some data.",
    "pretrain": "Pretrain a student on unlabelled text.",
    "report": "Show what a run found.",
    "evaluate": "Measure a bundle or a model on data, or two against each other.",
    "export": "Pack a model of a run as a bundle.",
    "push": "Put a bundle or a model on a hub.",
    "predict": "Classify texts with a bundle.",
    "serve": "Serve a bundle over HTTP, with a page to try it.",
}


_OUT_OF_MEMORY = re.compile(
    r"OutOfMemory|out of memory|can't allocate memory|not enough memory", re.IGNORECASE
)


class _Commands(click.Group):
    """A group that imports a command when it is asked for."""

    def invoke(self, context: click.Context) -> Any:
        """As click has it, but that a reader of our output who has enough is no failure, which to click it is."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            # What is still buffered must not fail once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        try:
            module = import_module(f"stepdown.cli.{name}")
        except ModuleNotFoundError as error:
            raise missing_extra(error.name or "?", "train", f"stepdown {name}") from error
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stepdown")
def cli() -> None:
    """Turn a large text classifier into the smallest one that does the job, and prove what each step cost."""


def main() -> None:
    """Entry point: every failure is one message on stderr and an exit code, never a traceback.

    0 done; 1 it failed while working; 2 the user's input was wrong; 130 interrupted.
    """
    # Nothing leaves the machine but the downloads that the user named.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_XET_TELEMETRY_ENABLED"] = "false"
    os.environ["DO_NOT_TRACK"] = "1"
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except KeyboardInterrupt:
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except StepdownError as error:
        click.echo(f"stepdown: {inert(str(error))}", err=True)  # it may quote what a stranger made
        code = error.exit_code
    except (MemoryError, RuntimeError) as error:
        # torch tells of a full memory by a RuntimeError of its own.
        if isinstance(error, RuntimeError) and not _OUT_OF_MEMORY.search(f"{type(error).__name__} {error}"):
            raise
        message = "the memory of this machine is full. Try a smaller batch_size (and more accumulate), or fewer texts."
        click.echo(f"stepdown: {message}", err=True)
        code = 1
    except OSError as error:
        click.echo(f"stepdown: {error.strerror or error}: {error.filename or ''}".rstrip(": "), err=True)
        code = 1
    if code == 130:
        click.echo("stepdown: interrupted; what was finished stays.", err=True)
    sys.exit(code if isinstance(code, int) else 0)
