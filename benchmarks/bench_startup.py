"""How long `shrunk --help` takes beside a bare Typer app with the same commands: at most 1.3 times.

    python benchmarks/bench_startup.py [--rounds N] [--out FILE]

The bare app is what anyone would write first: the same names and help lines, empty functions in one file, the same
rich_markup_mode, the same completion options. `status` and `sql` are timed on a lab of six finished runs, beside an
interpreter that imports typer and exits. All commands take turns within a round, so that a busy machine slows them alike;
whole processes are timed, and medians are compared.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from shrunk_core.config.lab import init_lab
from shrunk_core.config.language_spec import CorpusSpec, TokenizerSpec
from shrunk_core.config.spec import ModelSpec, RunSpec, TrainSpec
from shrunk_core.cost import costs
from shrunk_core.record.eventlog import EventWriter
from shrunk_core.record.events import Evaluated, Finished, Started, Step
from shrunk_core.record.rundir import this_process, write_spec

from shrunk_tui.cli.app import COMMANDS

BAR = 1.3
UPDATES = 200

BARE = """
import typer

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False,
                  context_settings={{"help_option_names": ["-h", "--help"]}})

@app.callback()
def root(version: bool = typer.Option(False, "--version", is_eager=True, help="Print the version.")) -> None:
    "Shrink a language, train a grid of tiny language models on it, read scaling laws off plots in the terminal."

{commands}

def main() -> None:
    app()
"""
LAUNCH = "import sys; sys.argv[0] = 'shrunk'; from {module} import main; sys.exit(main())"


def bare_app(folder: Path) -> None:
    """Write bare_shrunk.py: a function a command, with the help line of ours."""
    commands = "\n\n".join(
        f"@app.command({name!r}, help={line!r})\ndef command_{i}() -> None:\n    pass"
        for i, (name, (_, line)) in enumerate(COMMANDS.items())
    )
    (folder / "bare_shrunk.py").write_text(BARE.format(commands=commands))


def small_lab(folder: Path) -> Path:
    """Six finished runs of 200 updates each, with their logs."""
    lab = init_lab(folder / "lab")
    me = this_process()
    for seed in range(6):
        spec = RunSpec(
            model=ModelSpec(),
            corpus=CorpusSpec(sources=("embedded:kjv",)),
            tokenizer=TokenizerSpec(),
            train=TrainSpec(updates=UPDATES),
            seed=seed,
            corpus_fingerprint="c" * 12,
            tokenizer_fingerprint="t" * 12,
        )
        run = write_spec(lab, spec, name=f"run {seed}", grid="startup", costs=costs(spec.model, spec.train))
        writer = EventWriter(run.events_file)
        writer.append(
            Started(
                attempt=1, host=me.host, pid=me.pid, process_started_at=me.started_at, device="cpu", device_name="cpu",
                threads=1, micro_batch=4, torch_version="-", shrunk_version="-", num_params=1, unigram_loss=5.5,
                train_tokens=1,
            )
        )  # fmt: skip
        for update in range(1, UPDATES + 1):
            writer.append(
                Step(attempt=1, update=update, tokens=update, flops=update, loss=5.0, learning_rate=1e-3, grad_norm=1.0,
                     tokens_per_second=1e3)
            )  # fmt: skip
        writer.append(
            Evaluated(
                attempt=1, update=UPDATES, tokens=UPDATES, flops=UPDATES, split="validation",
                evaluation_id=spec.evaluation_id, loss=4.0, loss_stderr=0.01, num_masked_tokens=1000, num_sequences=100,
                unigram_loss=5.5, unigram_stderr=0.01, seconds=0.1,
            ),
            Finished(attempt=1, update=UPDATES, tokens=UPDATES, flops=UPDATES, best_update=UPDATES, best_loss=4.0,
                     final_loss=4.0, seconds=1.0),
        )  # fmt: skip
        writer.close()
    return lab


def seconds(arguments: list[str], cwd: Path) -> float:
    """Wall seconds of one whole process."""
    start = time.perf_counter()
    subprocess.run(arguments, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of each command, one value a round; a first round that warms the disk is not counted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare_app(folder)
        lab = str(small_lab(folder))
        bare, ours = ([sys.executable, "-c", LAUNCH.format(module=m)] for m in ("bare_shrunk", "shrunk_tui.cli.app"))
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import typer'": [sys.executable, "-c", "import typer"],
            "bare Typer app --help": [*bare, "--help"],
            "shrunk --help": [*ours, "--help"],
            "shrunk --version": [*ours, "--version"],
            "shrunk status --help": [*ours, "status", "--help"],
            "shrunk status": [*ours, "status", "--lab", lab],
            "shrunk sql": [*ours, "sql", "select name, best_loss from runs", "--lab", lab],
        }
        taken: dict[str, list[float]] = {label: [] for label in commands}
        for i in range(rounds + 1):
            for label, command in commands.items():
                value = seconds(command, folder)
                if i:
                    taken[label].append(value)
    return taken


def report(taken: dict[str, list[float]], machine: str) -> str:
    """The results as Markdown."""
    medians = {label: statistics.median(values) for label, values in taken.items()}
    ratio = medians["shrunk --help"] / medians["bare Typer app --help"]
    pairs = [a / b for a, b in zip(taken["shrunk --help"], taken["bare Typer app --help"], strict=True)]
    low, _, high = statistics.quantiles(pairs, n=4)
    lines = [
        "# Start-up",
        "",
        f"`python benchmarks/bench_startup.py`, {datetime.date.today().isoformat()}, {machine}, Python "
        f"{sys.version.split()[0]}, {len(pairs)} rounds.",
        "",
        f"**`shrunk --help` takes {ratio:.2f} times a bare Typer app with the same {len(COMMANDS)} commands** (bar: {BAR}; "
        f"middle half of the rounds {low:.2f} to {high:.2f}): {'holds' if ratio <= BAR else 'DOES NOT HOLD'}.",
        "",
        "| whole process | median, s | fastest, s |",
        "|---|---:|---:|",
        *(f"| `{label}` | {medians[label]:.3f} | {min(values):.3f} |" for label, values in taken.items()),
        "",
        "`status` and `sql` are on a lab of six finished runs of 200 updates; nothing is new in its logs after the first round.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--machine", default="2-core AMD EPYC, no GPU")
    parser.add_argument("--out", type=Path, help="also write the results there (Markdown)")
    asked = parser.parse_args()
    text = report(measure(asked.rounds), asked.machine)
    print(text)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    return 1 if "DOES NOT HOLD" in text else 0


if __name__ == "__main__":
    sys.exit(main())
