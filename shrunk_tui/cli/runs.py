"""`shrunk status`, `attach`, `show`, `logs`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from shrunk_core.config.lab import find_lab
from shrunk_core.engine.desk import Desk
from shrunk_core.engine.standing import Standing
from shrunk_core.engine.summaries import Brief, brief_of
from shrunk_core.engine.watch import Watch
from shrunk_core.errors import PlanError
from shrunk_core.record.eventlog import read_new
from shrunk_core.record.rundir import RunDir, SpecFile, read_spec, run_dirs
from shrunk_core.record.status import STATUSES

from ..format import count, duration, number
from .output import Format, FormatOption, LabOption, print_object, print_rows, say
from .serving import places, serving_lines

Spec = TypeVar("Spec", SpecFile, Brief)

STATUS_COLUMNS = (
    "run_id", "grid", "name", "status", "place", "update", "updates", "loss", "tokens_per_second", "seconds_left", "reason",
)  # fmt: skip

UNDER_WAY = {"running": 1, "queued": 2}
"""What is looked for first stands last, next to the prompt."""


def choose(lab: Path, wanted: list[str]) -> list[SpecFile]:
    """Runs by id, unique beginning of an id, run name or grid name; all of them when nothing is named."""
    return named(lab, [read_spec(r) for r in run_dirs(lab)], wanted)


def named(lab: Path, specs: list[Spec], wanted: list[str]) -> list[Spec]:
    """Those of the lab's runs that are wanted, as `choose` says."""
    if not wanted:
        return specs
    chosen: dict[str, Spec] = {}
    for word in wanted:
        hits = [s for s in specs if word in (s.run_id, s.grid, s.name)]
        begun = [s for s in specs if len(word) >= 3 and s.run_id.startswith(word)]
        if not hits and len(begun) > 1:
            ids = ", ".join(s.run_id for s in begun[:5]) + (" ..." if len(begun) > 5 else "")
            raise PlanError(f"`{word}` is the beginning of {len(begun)} runs ({ids}); write one digit more")
        hits = hits or begun
        if not hits:
            raise PlanError(f"no run or grid `{word}` in {lab}; `shrunk status` lists them")
        chosen |= {s.run_id: s for s in hits}
    return list(chosen.values())


def choose_one(lab: Path, word: str) -> SpecFile:
    """The one run a word means. PlanError when it means several."""
    hits = choose(lab, [word])
    if len(hits) > 1:
        raise PlanError(f"`{word}` means {len(hits)} runs ({', '.join(h.run_id for h in hits[:5])} ...); name one")
    return hits[0]


def status_row(run: Brief, standing: Standing, now: float, place: int | None = None) -> dict[str, Any]:
    """One row of `shrunk status`. place: in the order that waits."""
    state = standing.status(now)
    left = None
    if state.status == "running" and standing.tokens_per_second:
        left = round((run.updates - standing.update) * run.tokens_per_update / standing.tokens_per_second, 1)
    return {
        "run_id": run.run_id,
        "grid": run.grid,
        "name": run.name,
        "status": state.status,
        "place": place if state.status == "queued" else None,
        "update": standing.update,
        "updates": run.updates,
        "loss": standing.evaluated.loss if standing.evaluated else standing.loss,
        "tokens_per_second": standing.tokens_per_second if state.status == "running" else None,
        "seconds_left": left,
        "reason": state.reason,
    }


def time_left(runs: list[tuple[Brief, Standing]], rows: list[dict[str, Any]]) -> list[str]:
    """One line a grid that has work under way: what is left of it at the speed that its running runs have together."""
    tokens: dict[str, int] = {}
    speed: dict[str, float] = {}
    for (run, standing), row in zip(runs, rows, strict=True):
        if row["status"] in ("queued", "running"):
            left = (run.updates - standing.update) * run.tokens_per_update
            tokens[run.grid] = tokens.get(run.grid, 0) + left
            speed[run.grid] = speed.get(run.grid, 0.0) + (row["tokens_per_second"] or 0.0)
    return [
        f"{grid}: about {duration(left / speed[grid])} left at {count(speed[grid])} tokens/s"
        for grid, left in tokens.items()
        if speed[grid]
    ]


def status(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs or grids; all when none is named.")] = None,
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """Where runs stand. `loss` is the last validation loss, or the training loss before the first evaluation.

    What trains and what waits comes last, in the order in which it will start: `place` 1 is next.
    Archived runs are left out unless they are named. Example: shrunk status "width by depth" --format json
    """
    folder = find_lab(lab)
    watch = Watch(folder)
    watch.look()
    chosen = [(run, watch.standing(run.run_id)) for run in named(folder, watch.briefs(), runs or [])]
    watch.keep()
    shown = chosen if runs else [(s, standing) for s, standing in chosen if not standing.archived]
    desk = Desk(folder)
    place = places(desk, watch)
    rows = [status_row(s, standing, time.time(), place.get(s.run_id)) for s, standing in shown]
    left = time_left(shown, rows)
    rows.sort(key=lambda row: (UNDER_WAY.get(row["status"], 0), row["place"] or len(place)))
    columns = [c for c in STATUS_COLUMNS if c not in ("reason", "place") or any(r[c] for r in rows)]
    print_rows(rows, STATUS_COLUMNS, how,
               {"loss": lambda v: number(v, 5), "tokens_per_second": count, "seconds_left": duration}, columns)  # fmt: skip
    for line in left:
        say(line)
    if away := len(chosen) - len(shown):
        say("1 archived run is not shown; name it to see it" if away == 1 else
            f"{away} archived runs are not shown; name them to see them")  # fmt: skip
    for alert in watch.open_alerts()[-8:]:
        if alert.severity != "info":
            say(
                f"{alert.severity}: {' '.join(filter(None, (alert.alert, alert.run_id or alert.grid)))}: {alert.message}"
            )
    say(", ".join(f"{n:,} {word}" for word in STATUSES if (n := sum(r["status"] == word for r in rows))) or "no runs")
    for line in serving_lines(desk):
        say(line)


def attach(lab: LabOption = None) -> None:
    """Follow the runs that are queued or running. Ctrl-C or `d` leaves; training goes on.

    Example: shrunk attach --lab mylab
    """
    from .follow import Followed, follow  # here, because `status` must be quick and Rich's progress bars are not

    folder = find_lab(lab)
    watch = Watch(folder)
    watch.look()
    live = [run for run in watch.briefs() if watch.status(run.run_id).status in ("queued", "running")]
    if not live:
        say("nothing is queued or running")
        return
    runs = [Followed(run_id=s.run_id, name=s.name, updates=s.updates) for s in live]
    outcome = follow(folder, runs, can_stop=False)
    say("detached; training goes on" if outcome.how == "detached" else "nothing is queued or running any more")


def show(
    run: Annotated[str, typer.Argument(help="A run's id (or its beginning), or its name.")],
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """One run: status, costs, every setting, last results, folder. Example: shrunk show 3f2a --format json"""
    folder = find_lab(lab)
    spec = choose_one(folder, run)
    watch = Watch(folder, {spec.run_id})
    watch.look()
    standing = watch.standings.get(spec.run_id, Standing())
    row = status_row(brief_of(spec), standing, time.time())
    evaluated = standing.evaluated
    result = None
    if evaluated is not None:
        result = {
            "validation_loss": evaluated.loss,
            "validation_stderr": evaluated.loss_stderr,
            "unigram_loss": evaluated.unigram_loss,
            "num_masked_tokens": evaluated.num_masked_tokens,
            "num_sequences": evaluated.num_sequences,
            "at_update": evaluated.update,
        }
    settings = {
        name: {k: getattr(part, k) for k in part.__dataclass_fields__}
        for name in ("model", "train", "corpus", "tokenizer")
        for part in (getattr(spec.spec, name),)
    }
    identity = {
        "seed": spec.spec.seed,
        "evaluation_id": spec.spec.evaluation_id,
        "corpus_fingerprint": spec.spec.corpus_fingerprint,
        "tokenizer_fingerprint": spec.spec.tokenizer_fingerprint,
        "folder": str(folder / "runs" / spec.run_id),
    }
    if how is Format.json:
        print_object({**row, **identity, "result": result, "costs": spec.costs, **settings}, how)
        return
    flat = {**row, **identity, **(result or {}), **spec.costs}
    flat |= {f"{section}.{k}": v for section, table in settings.items() for k, v in table.items()}
    print_object({k: v for k, v in flat.items() if v not in (None, "")}, how)


def logs(
    run: Annotated[str, typer.Argument(help="A run's id (or its beginning), or its name.")],
    lab: LabOption = None,
    follow_it: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    steps: Annotated[
        bool, typer.Option("--steps", help="Every update too, not only what happened between them.")
    ] = False,
) -> None:
    """A run's events, one JSON line each as they are on disk, and the last lines of its worker's output on stderr.

    Example: shrunk logs 3f2a -f
    """
    folder = find_lab(lab)
    spec = choose_one(folder, run)
    where = RunDir(folder / "runs" / spec.run_id)
    offset, watch = 0, Watch(folder, {spec.run_id})
    while True:
        watch.look()
        going = watch.status(spec.run_id).status in ("queued", "running")
        lines, offset = read_new(where.events_file, offset)
        for line in lines:
            if steps or b'"kind":"step"' not in line:
                print(_compact(line), flush=True)
        if not (follow_it and going):
            break
        time.sleep(0.3)
    if where.worker_log.exists() and (tail := where.worker_log.read_text(errors="replace").splitlines()[-15:]):
        say(f"--- {where.worker_log}")
        print("\n".join(tail), file=sys.stderr)


def _compact(line: bytes) -> str:
    """A log line with its time readable and first."""
    try:
        body = json.loads(line)
    except ValueError:
        return line.decode(errors="replace")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(body.pop("logged_at", 0)))
    body.pop("v", None)
    return json.dumps({"logged_at": stamp, "kind": body.pop("kind", "?"), **dict(sorted(body.items()))})
