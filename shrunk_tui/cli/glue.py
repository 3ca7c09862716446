"""`shrunk glue` and `shrunk minimal-pairs`: downstream scores of runs, as child jobs of their checkpoints."""

from __future__ import annotations

import dataclasses
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from shrunk_core.config.cell import SETTINGS, FinetuneSpec, PairsSpec
from shrunk_core.config.lab import find_lab
from shrunk_core.config.loader import Place, read_section
from shrunk_core.errors import ConfigError

from ..score_matrix import matrix_columns, matrix_rows
from .following_cells import work_through
from .output import Format, FormatOption, LabOption, print_rows, say
from .runs import choose
from .task_answers import gains_of, pairs_of, say_gains, scores_of

SCORE_COLUMNS = (
    "run_id", "checkpoint", "task", "filtered", "seed", "metric", "value", "stderr", "n", "epochs", "logged_at",
    "split", "learning_rate", "settings", "comparison", "job_id",
)  # fmt: skip
GAIN_COLUMNS = (
    "run_id", "checkpoint", "task", "filtered", "metric", "split", "pretrained", "untrained", "gain", "low", "high",
    "seeds", "n",
)  # fmt: skip


class Baseline(str, Enum):
    """Spellings of --baseline."""

    none = "none"
    untrained = "untrained"


def glue(
    runs: Annotated[list[str], typer.Argument(help="Runs or grids.")],
    tasks: Annotated[
        str,
        typer.Option(help="By comma: `all` of GLUE, names, probes, TOML files; NAME@SPLIT scores another split."),
    ] = "all",
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Seeds 0 to K - 1 of every cell.")] = 3,
    baseline: Annotated[
        Baseline, typer.Option(help="Also score each run's own start, and the gain over it.")
    ] = Baseline.none,
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="best, final, untrained or an update; repeat for more.")
    ] = None,
    filtered: Annotated[bool, typer.Option("--filtered", help="Only examples in the run's own words.")] = False,
    vocabulary: Annotated[str, typer.Option(help="Word list of the filter; else the one of the run's language.")] = "",
    data: Annotated[str, typer.Option(help="Folder of TASK/SPLIT.jsonl, or `hub`.")] = "hub",
    settings: Annotated[str, typer.Option(help=f"Fine-tuning settings: {', '.join(SETTINGS)}.")] = "default",
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: KEY=VALUE in TOML, for example epochs=3.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count examples and cells; train nothing.")] = False,
    gain: Annotated[
        bool, typer.Option("--gain", help="Print the gains of pre-training instead of the scores.")
    ] = False,
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """Fine-tune checkpoints on tasks and score them: GLUE, tasks of its form, probes. Only what is missing is done.

    Every cell (task, checkpoint, seed) is a child job of its run on the lab's own slots; a stopped or killed one goes on
    when the command is given again. The table shows means over seeds; json and csv hold every score.

    Example: shrunk glue children --tasks cola,sst2,rte --seeds 3 --baseline untrained --data glue/
    """
    from shrunk_core.downstream.tasks import GLUE
    from shrunk_core.engine.cell_plan import Question, plan_cells

    folder = find_lab(lab)
    names = tuple(GLUE) if tasks == "all" else tuple(t.strip() for t in tasks.split(",") if t.strip())
    if not names:
        raise ConfigError("--tasks names no task")
    wanted = [*(checkpoint or ["best"]), *(["untrained"] if baseline is Baseline.untrained else [])]
    question = Question(
        tasks=names,
        source="" if data == "" else data,
        checkpoints=tuple(dict.fromkeys(check_checkpoint(c) for c in wanted)),
        seeds=seeds,
        settings=finetune_settings(settings, change or []),
        filtered=filtered,
        vocabulary=vocabulary,
    )
    chosen = {spec.run_id: spec.spec for spec in choose(folder, runs)}
    plan = plan_cells(folder, chosen, question)
    report_counts(plan.counts)
    if not plan.cells:
        raise ConfigError("no task is left to score: " + "; ".join(c.refusal for c in plan.counts if c.refusal))
    if dry_run:
        say(f"{len(plan.cells)} cells; nothing was trained (--dry-run)")
        return
    outcome = work_through(folder, plan.cells)
    found = scores_of(folder, [cell.job_id for cell in plan.cells])
    if gain:
        print_rows(gains_of(folder, {c.comparison for c in plan.cells}, set(chosen)), GAIN_COLUMNS, how)
    elif how is Format.table:
        rows = matrix_rows(found, plan.cells)
        print_rows(rows, matrix_columns(plan.cells), how)
        gains = gains_of(folder, {c.comparison for c in plan.cells}, set(chosen))
        if gains:
            say("gain of pre-training, paired, 95 % over seeds and examples (--gain prints all of it):")
            say_gains(gains)
    else:
        print_rows(found, SCORE_COLUMNS, how)
    raise typer.Exit(outcome)


def minimal_pairs(
    runs: Annotated[list[str], typer.Argument(help="Runs or grids.")],
    data: Annotated[Path, typer.Option(help="A .parquet, .jsonl or .csv of pairs with BLiMP's columns.")],
    method: Annotated[
        str,
        typer.Option(help="Masked models: original, within-word, or whole-word (cheapest)."),
    ] = "original",
    checkpoint: Annotated[
        list[str] | None, typer.Option(help="best, final, untrained or an update; repeat for more.")
    ] = None,
    filtered: Annotated[bool, typer.Option("--filtered", help="Only pairs in the run's own words.")] = False,
    vocabulary: Annotated[str, typer.Option(help="Word list of the filter; else the one of the run's language.")] = "",
    by: Annotated[str, typer.Option(help="phenomenon or uid: the rows of the table.")] = "phenomenon",
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """Minimal pairs such as BLiMP: how often the good sentence of a pair is the likelier, by phenomenon and paradigm.

    Masked models are scored by pseudo-log-likelihood, causal ones by log-likelihood.

    Example: shrunk minimal-pairs 8e3855e1e5a6 --data blimp.parquet --method whole-word
    """
    from shrunk_core.engine.cell_plan import plan_pairs

    folder = find_lab(lab)
    spec = read_section(PairsSpec, {"method": method}, Place(Path("--method"), ""))
    chosen = {spec.run_id: spec.spec for spec in choose(folder, runs)}
    checkpoints = tuple(check_checkpoint(c) for c in (checkpoint or ["best"]))
    plan = plan_pairs(folder, chosen, data.expanduser(), checkpoints, spec, filtered, vocabulary)
    report_counts(plan.counts)
    outcome = work_through(folder, plan.cells)
    rows = pairs_of(folder, [cell.job_id for cell in plan.cells])
    columns = ("run_id", "checkpoint", "phenomenon", "uid", "accuracy", "stderr", "n", "filtered")
    if how is Format.table:
        rows = [r for r in rows if (r["uid"] is None) == (by == "phenomenon")]
    print_rows(rows, columns, how, table_columns=[c for c in columns if c != "uid" or by == "uid"])
    raise typer.Exit(outcome)


def finetune_settings(name: str, changes: list[str]) -> FinetuneSpec:
    """Settings by name with changes as `key=value` in TOML, checked as strictly as a file."""
    import difflib
    import tomllib

    if name not in SETTINGS:
        near = difflib.get_close_matches(name, SETTINGS, n=1)
        raise ConfigError(
            f"no settings `{name}`; " + (f"did you mean `{near[0]}`?" if near else f"there are {', '.join(SETTINGS)}")
        )
    try:
        table = tomllib.loads("\n".join(changes))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"--set {' '.join(changes)}: {problem}; write KEY=VALUE as in TOML") from None
    checked = read_section(FinetuneSpec, table, Place(Path("--set"), "\n".join(changes)))
    spec = dataclasses.replace(SETTINGS[name], **{key: getattr(checked, key) for key in table})
    if not spec.learning_rates or any(not 0 < rate <= 1 for rate in spec.learning_rates):
        raise ConfigError(f"--set learning_rates: each must lie between 0 and 1, not {list(spec.learning_rates)}")
    if len(spec.learning_rates) > 1 and not spec.select_share:
        raise ConfigError("several learning rates need a selection slice to choose from: --set select_share=0.1")
    return spec


def check_checkpoint(name: str) -> str:
    """A checkpoint's name, or ConfigError."""
    from shrunk_core.config.cell import CHECKPOINTS

    if name not in CHECKPOINTS and not name.isdigit():
        raise ConfigError(f"no checkpoint `{name}`: write {', '.join(CHECKPOINTS)}, or a number of updates")
    return name if not name.isdigit() else str(int(name))


def report_counts(counts: list[Any]) -> None:
    """Say what each task has left before anything trains."""
    for count in counts:
        for split in count.counts:
            share = f" ({split.kept / max(1, split.seen):.1%})" if count.vocabulary else ""
            labels = ", ".join(f"{label} {n:,}" for label, n in zip(split.labels, split.by_label, strict=True) if label)
            kept = f"{split.kept:,} of {split.seen:,}{share}" if count.vocabulary else f"{split.kept:,}"
            say(f"{count.task} {split.split}: {kept} examples" + (f": {labels}" if labels else ""))
        if count.refusal:
            say(f"not scored: {count.refusal}")
