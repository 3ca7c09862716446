"""The root command. Modules of commands are imported when their command runs, so that `--help` stays quick."""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from shrunk_core import __version__
from typer.core import TyperCommand, TyperGroup

from .start import main

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module and function, the line in --help)
    "demo": ("demo:demo", "The whole job on the embedded corpus: shrink, train a grid, plot loss against FLOPs."),
    "init": ("lab:init", "Make a new lab."),
    "plan": ("grid:plan", "What a grid file would train: shapes, costs, what exists, what is impossible."),
    "run": ("grid:run", "Train what is missing of a grid, and follow it."),
    "status": ("runs:status", "Where runs stand: queue, progress, loss, speed, time left."),
    "attach": ("runs:attach", "Follow what the lab's supervisor runs now."),
    "stop": ("steering:stop", "Stop runs or grids, each with a checkpoint."),
    "pause": ("steering:pause", "Pause runs or grids, each with a checkpoint; their slots are free meanwhile."),
    "resume": ("steering:resume", "Queue paused and stopped runs again, from their checkpoints."),
    "retry": ("steering:retry", "Queue failed, stopped and cancelled runs again."),
    "cancel": ("steering:cancel", "Cancel runs or grids that nobody wants any more."),
    "prioritise": ("steering:prioritise", "Put waiting runs first in the queue."),
    "show": ("runs:show", "One run: settings, results, where its files are."),
    "logs": ("runs:logs", "A run's events and its worker's output."),
    "diff": ("differing:diff", "Compare two runs: settings that differ, results side by side."),
    "tag": ("notes:tag", "Add, remove and list tags of runs."),
    "note": ("notes:note", "Write a note on a run, or read it."),
    "archive": ("notes:archive", "Put runs out of the way, or bring them back."),
    "delete": ("notes:delete", "Delete runs for good, after asking."),
    "gc": ("notes:gc", "Free disk space that no run needs."),
    "replay": ("replay:replay", "Play a finished grid's logs through the screens again."),
    "plot": ("plot:plot", "Loss curves, or loss against FLOPs, tokens or parameters, in the terminal."),
    "corpus": ("corpus:app", "Reduced languages: build, look at, list."),
    "vocabulary": ("vocabulary:app", "Word lists: show, how much of a text they cover, compare."),
    "tokenizer": ("tokenizer:app", "Tokenizers: train, find the right size, list."),
    "sql": ("sql:sql", "Ask the lab's database, read-only, at any moment."),
    "fit": ("analysis:fit", "Fit a power law to the lab's runs, with intervals, or say why it cannot be told."),
    "frontier": ("analysis:frontier", "The compute-optimal points of learning curves."),
    "icer": ("analysis:icer", "What the next unit of quality costs, along one axis or all."),
    "correlate": ("analysis:correlate", "Does perplexity predict the score? With intervals over runs."),
    "glue": ("glue:glue", "Fine-tune checkpoints on GLUE, tasks of its form and probes; the gain of pre-training."),
    "minimal-pairs": ("glue:minimal_pairs", "Minimal pairs such as BLiMP: is the good sentence the likelier one?"),
    "report": ("report:report", "One Markdown page about the lab: results, laws, costs, caveats, figures."),
    "import": ("importing:import_", "Take runs of another lab in, or somebody else's learning curves beside yours."),
    "export": ("exporting:export", "Write views as Parquet files, or runs as an archive for another lab."),
    "cost": ("cost:cost", "Parameters and FLOPs of one shape in all countings."),
    "bench": ("bench:bench", "Measure this machine: tokens/s by shape, precision and packing, for plans and slots."),
    "doctor": ("doctor:doctor", "Is this machine, this installation, this lab in order?"),
}

SCREENS: dict[str, str] = {
    # what the terminal UI calls it; every command that a screen names as its twin is here
    **dict.fromkeys(("stop", "pause", "resume", "retry", "tag", "note", "delete", "export"), "1, Runs"),
    "status": "1, Runs, and 7, System (who sits in which slot)",
    "plot": "1, Runs (curves), and 4, Scaling (laws)",
    **dict.fromkeys(("plan", "run"), "2, Design"),
    **dict.fromkeys(("show", "diff"), "3, Run"),
    "logs": "3, Run, and the supervisor's log on 7, System",
    **dict.fromkeys(("fit", "frontier", "icer"), "4, Scaling"),
    **dict.fromkeys(("glue", "minimal-pairs"), "5, Tasks"),
    "correlate": "5, Tasks, and 4, Scaling",
    "sql": "6, SQL",
    "doctor": "7, System",
}


class LazyGroup(TyperGroup):
    """Lists commands from the table above and imports a command's module only when it is really asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(name=cmd_name, short_help=COMMANDS[cmd_name][1])  # `help` would be cut short in the list

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"No such command '{args[0]}'." + (f" Did you mean '{near[0]}'?" if near else ""))
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or command is None:
            return name, command, rest
        return name, load(name), rest


def load(name: str) -> Any:
    """The real command behind a name."""
    module, function = COMMANDS[name][0].split(":")
    body = getattr(importlib.import_module(f"shrunk_tui.cli.{module}"), function)
    if isinstance(body, typer.Typer):  # a noun with verbs of its own
        return typer.main.get_command(body)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    epilog = f"In the terminal UI (`shrunk`): screen {SCREENS[name]}." if name in SCREENS else None
    app.command(name, context_settings={"help_option_names": ["-h", "--help"]}, epilog=epilog)(body)
    return typer.main.get_command(app)


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: shrunk demo. The lab is --lab DIR, else $SHRUNK_LAB, else the nearest folder with a shrunk.toml. "
    "Exit codes: 0 done, 1 the work failed, 2 usage or configuration, 3 busy, 130 interrupted.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"shrunk-tui {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    context: typer.Context,
    lab: Annotated[
        Path | None, typer.Option("--lab", help="Of the terminal UI: the lab; else as for the commands.")
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Of the terminal UI: look only, write nothing, stop nothing.")
    ] = False,
    ascii_only: Annotated[
        bool, typer.Option("--ascii", help="Of the terminal UI: draw with ASCII signs only.")
    ] = False,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Shrink a language, train a grid of tiny language models on it, read scaling laws off plots in the terminal.

    Without a command: the terminal UI on the lab.
    """
    if context.invoked_subcommand is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):  # a pipe gets what a pipe can use
            print(context.get_help())
            return
        from .tui import open_terminal

        open_terminal(lab, read_only=read_only, ascii_only=ascii_only)


if __name__ == "__main__":
    main()
