"""`shrunk demo`: the whole job on the embedded corpus."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from shrunk_core.config.grid import load_grid
from shrunk_core.config.lab import init_lab
from shrunk_core.engine.client import submit
from shrunk_core.engine.plan import RunPlan, make_plan
from shrunk_core.store.queries import final_points
from shrunk_core.store.store import open_store

from ..charts import draw
from ..format import count, duration, flops
from .demo_probe import probe
from .follow import Outcome
from .grid import finish, follow_plan, print_plan
from .laws import power_of, say_fit
from .output import Format, chart_size, colours, print_rows, say
from .plot import points_chart

GRID = Path(__file__).with_name("demo.toml")


def demo(
    folder: Annotated[Path, typer.Option("--dir", help="Folder of the demo's lab.")] = Path("demo"),
    no_tui: Annotated[bool, typer.Option("--no-tui", help="Do not offer the terminal UI at the end.")] = False,
) -> None:
    """Shrink a language, train a grid of tiny models on it, plot loss against FLOPs, probe the best: minutes on two cores.

    The King James text is reduced to its 3,000 most frequent words. Run it again: finished runs are found, not trained.
    Example: shrunk demo --dir demo
    """
    began = time.monotonic()
    lab = init_lab(folder)
    say(f"lab: {lab}")
    planned = make_plan(lab, load_grid(GRID))
    print_plan(planned, "paper", Format.table)
    outcome = Outcome(statuses={r.run_id: r.status for r in planned.runs}, how="done")
    if any(r.status != "finished" for r in planned.runs):
        submit(lab, planned)
        outcome = follow_plan(lab, planned)
    else:
        say("all runs are finished already; nothing to train")
    if outcome.how == "done" and set(outcome.statuses.values()) == {"finished"}:
        best = report(lab, planned)
        probe(lab, planned, best)
        say(f"\n{duration(time.monotonic() - began)}. Next:")
        for line in (
            f"  cd {folder}",
            "  shrunk                                   the terminal UI: the runs, their curves, SQL",
            "  shrunk plot --x updates                  the learning curves",
            "  shrunk sql 'select name, num_params, best_loss, unigram_loss from runs order by best_loss'",
            "  shrunk show RUN                          one run with all its settings",
            f"  cp {GRID} my.toml    edit it, then: shrunk plan my.toml && shrunk run my.toml",
        ):
            say(line)
    if not no_tui and outcome.how == "done" and sys.stdin.isatty() and sys.stdout.isatty():
        offer(lab)
    finish(planned, outcome)


def offer(lab: Path) -> None:
    """Ask whether to look at the results in the terminal UI; the answer is yes for enter alone."""
    if typer.confirm("\nOpen the terminal UI on this lab?", default=True, err=True):
        from ..app import open_ui

        open_ui(lab)


def report(lab: Path, planned: RunPlan) -> str:
    """The results table, the plot, the fit: what `shrunk sql`, `shrunk plot` and `shrunk fit` give on this lab. Returns the
    best run's id.
    """
    store = open_store(lab)
    store.refresh(force=True)
    ids = [r.run_id for r in planned.runs]
    marks = ", ".join("?" for _ in ids)
    result = store.query(
        f"""select r.run_id, r.name, r.num_params, r.flops_total, r.best_loss, e.loss_stderr, r.best_perplexity,
                   r.unigram_loss, r.unigram_loss - r.best_loss as gain, e.unigram_stderr as gain_stderr,
                   e.num_masked_tokens as n, r.seconds
            from runs r join evaluations e on e.run_id = r.run_id and e.split = 'validation' and e.loss = r.best_loss
            where r.run_id in ({marks}) order by r.best_loss desc""",
        params=ids,
    )
    rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
    print()
    print_rows(
        rows,
        result.columns,
        Format.table,
        {"num_params": count, "flops_total": flops, "seconds": duration, "best_loss": lambda v: f"{v:.3f}",
         "loss_stderr": lambda v: f"{v:.3f}", "best_perplexity": lambda v: f"{v:.1f}",
         "unigram_loss": lambda v: f"{v:.3f}", "gain": lambda v: f"{v:.3f}", "gain_stderr": lambda v: f"{v:.3f}"},
    )  # fmt: skip
    best = rows[-1]
    sure = best["gain"] > max(0.1, 2 * best["gain_stderr"])
    say(
        f"best: {best['name']}, {best['best_loss']:.3f} nats on {best['n']:,} masked validation tokens; the unigram "
        f"baseline has {best['unigram_loss']:.3f} on the same tokens. Gain {best['gain']:.3f} +- {best['gain_stderr']:.3f} "
        f"(standard error clustered by sequence){'' if sure else ': NOT clearly better than the baseline'}"
    )
    points = final_points(store, run_ids=ids)
    law = power_of(points, "flops")
    width, height = chart_size()
    print()
    print(
        draw(points_chart(points, x="flops", counting="paper", law=law), width=width, height=height, colour=colours())
    )
    say_fit(law)
    return best["run_id"]
