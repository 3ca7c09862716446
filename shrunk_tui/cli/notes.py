"""`shrunk tag`, `note`, `archive`, `delete`, `gc`: what people write about runs, and what they throw away."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from shrunk_core.config.lab import find_lab, read_settings
from shrunk_core.errors import ConfigError

from ..format import size
from .output import Format, FormatOption, LabOption, print_rows, say
from .runs import choose, choose_one

RunsArgument = Annotated[list[str], typer.Argument(help="Runs (id, its beginning, or name) or grids.")]


def tag(
    runs: RunsArgument,
    add: Annotated[list[str] | None, typer.Option("--add", "-a", help="A tag to add; may be repeated.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", "-r", help="A tag to take away.")] = None,
    lab: LabOption = None,
) -> None:
    """Add and remove tags of runs; without either, list them. Tags are a column of the view `runs`.

    Example: shrunk tag "width by depth" --add paper
    """
    from shrunk_core.engine.notebook import tag as write
    from shrunk_core.engine.watch import Watch

    folder = find_lab(lab)
    chosen = {s.run_id: s.name for s in choose(folder, runs)}
    if add or remove:
        write(folder, chosen, add or (), remove or ())
    watch = Watch(folder, set(chosen))
    watch.look()
    for run_id, name in chosen.items():
        print(run_id, name, " ".join(sorted(watch.standing(run_id).tags)))


def note(
    run: Annotated[str, typer.Argument(help="A run's id (or its beginning), or its name.")],
    text: Annotated[str | None, typer.Argument(help="The note; an empty one takes it away.")] = None,
    lab: LabOption = None,
) -> None:
    """Write a note on a run, or read it. Example: shrunk note 3f2a "diverged twice at 4e-3" """
    from shrunk_core.engine.notebook import note as write
    from shrunk_core.engine.watch import Watch

    folder = find_lab(lab)
    run_id = choose_one(folder, run).run_id
    if text is not None:
        write(folder, run_id, text)
    watch = Watch(folder, {run_id})
    watch.look()
    print(watch.standing(run_id).note)


def archive(
    runs: RunsArgument,
    back: Annotated[bool, typer.Option("--back", help="Bring them back.")] = False,
    lab: LabOption = None,
) -> None:
    """Put runs out of the way of `shrunk status` and the run list, or bring them back. Nothing is removed.

    Example: shrunk archive "first try"
    """
    from shrunk_core.engine.notebook import archive as write

    folder = find_lab(lab)
    chosen = {s.run_id: s.name for s in choose(folder, runs)}
    write(folder, chosen, on=not back)
    for run_id, name in chosen.items():
        print(f"{'brought back' if back else 'archived'} {run_id} {name}")


def delete(
    runs: RunsArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    lab: LabOption = None,
) -> None:
    """Delete runs with checkpoints, models and logs, for good. Names what goes and asks first.

    Example: shrunk delete 3f2a
    """
    from shrunk_core.engine.notebook import delete as remove
    from shrunk_core.engine.notebook import size_of

    folder = find_lab(lab)
    chosen = {s.run_id: s.name for s in choose(folder, runs)}
    for run_id, name in chosen.items():
        say(f"{run_id} {name}: {size(size_of(folder, run_id))}")
    asked = "this run" if len(chosen) == 1 else f"these {len(chosen)} runs"
    if not yes and not typer.confirm(f"Delete {asked} for good?", err=True):
        say("nothing was deleted")
        sys.exit(130)
    freed = remove(folder, chosen)
    print(f"deleted {len(chosen)} runs, {size(freed)}")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Also all checkpoints of finished runs but the best and the last.")
    ] = False,
    quota: Annotated[
        float | None,
        typer.Option(
            help="Also checkpoints beyond so many GB in all; by default `checkpoint_gigabytes` of shrunk.toml.", min=0.0
        ),
    ] = None,
    best: Annotated[
        bool,
        typer.Option("--best", help="For the quota even the best checkpoints of finished runs; their model/ stays."),
    ] = False,
    lab: LabOption = None,
    how: FormatOption = Format.table,
) -> None:
    """Free disk space: half-written checkpoints, corpora and tokenizers that no run uses, stale files. Runs stay.

    Beyond a quota go first, oldest first: checkpoints of finished runs that are neither best nor last; then their last;
    then those of unfinished runs that are neither the best so far nor the last good one. The last good one of an
    unfinished run never goes, the best of a finished one only with --best.

    Examples: shrunk gc --dry-run

    shrunk gc --quota 20 --best
    """
    from shrunk_core.engine.garbage import collect, find_garbage

    folder = find_lab(lab)
    limit = quota if quota is not None else read_settings(folder).checkpoint_gigabytes or None
    if best and limit is None:
        raise ConfigError("--best is of a quota: give --quota GB, or set checkpoint_gigabytes in shrunk.toml")
    found = find_garbage(folder, checkpoints=checkpoints, quota=None if limit is None else limit * 1e9, best=best)
    rows = [{"path": str(g.path.relative_to(folder)), "bytes": g.num_bytes, "why": g.why} for g in found]
    print_rows(rows, ("path", "bytes", "why"), how, {"bytes": size})
    total = size(sum(g.num_bytes for g in found))
    if dry_run:
        say(f"would free {total}")
    else:
        collect(found)
        say(f"freed {total}")
