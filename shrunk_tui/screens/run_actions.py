"""What can be done to runs from a screen: the same requests as `shrunk pause`, `stop`, `tag` ... make."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from textual.binding import Binding
from textual.content import Content

from ..format import size
from ..session import LabSession
from .asking import AskText, Confirm, Page
from .pane import Pane


class RunActions:
    """Actions on `targets()`. A mixin of panes; all work is done in threads."""

    session: LabSession

    ACTIONS = [
        Binding("p", "pause", "Pause"),
        Binding("r", "resume", "Resume/retry"),
        Binding("s", "stop", "Stop"),
        Binding("t", "tag", "Tag"),
        Binding("n", "note", "Note", show=False),
        Binding("D", "delete", "Delete", show=False),
        Binding("v", "compare", "Compare"),
        Binding("e", "export", "Export"),
    ]

    def targets(self) -> list[str]:
        """The runs that an action is for."""
        raise NotImplementedError

    @property
    def _pane(self) -> Pane:
        return cast(Pane, self)

    def _named(self, run_ids: Sequence[str]) -> str:
        """Runs in words: one by name, several by number."""
        if len(run_ids) == 1:
            return self.session.rows[run_ids[0]].spec.name
        return f"{len(run_ids)} runs"

    def _chosen(self, what: str, statuses: Sequence[str] = ()) -> list[str]:
        """Targets that are in one of these statuses, with a word when there is none or nothing may be written."""
        pane = self._pane
        if pane.refuse_write(what):
            return []
        rows = self.session.rows
        found = [r for r in self.targets() if r in rows]
        fit = [r for r in found if not statuses or rows[r].status.status in statuses]
        if not fit:
            is_ = f"{rows[found[0]].spec.name} is {rows[found[0]].status.status}" if len(found) == 1 else "no run is"
            tail = "" if len(found) == 1 else f" {' or '.join(statuses)}"
            pane.app.notify(f"Nothing to {what}: {is_}{tail}." if found else f"Nothing to {what}.", markup=False)
        return fit

    def _do(self, function: Callable[..., Any], *arguments: Any, said: Callable[[Any], str]) -> None:
        """Act in a thread, tell what was done, and look at the lab at once."""

        def told(result: Any) -> None:
            self._pane.app.notify(said(result), markup=False)
            self.session.look_now()

        self.session.work(self._pane, function, *arguments, then=told, group="actions", exclusive=False)

    def _ask_engine(self, action: str, run_ids: Sequence[str], doing: str) -> None:
        def act() -> Any:
            from shrunk_core.engine import client

            return getattr(client, action)(self.session.lab, list(run_ids))

        def said(reply: Any) -> str:
            words = [f"{doing} {self._named(reply.done)}"] if reply.done else []
            words += [f"{self.session.rows[r].spec.name}: {why}" for r, why in list(reply.left.items())[:3]
                      if r in self.session.rows]  # fmt: skip
            return ". ".join(words) or "Nothing changed."

        self._do(act, said=said)

    # ------------------------------------------------------------------ life of a run

    def action_pause(self) -> None:
        if run_ids := self._chosen("pause", ("running", "queued")):
            self._ask_engine("pause", run_ids, "Pausing, with a checkpoint:")

    def action_resume(self) -> None:
        """Paused and stopped runs go on; failed and cancelled ones are tried again: all from their checkpoints."""
        run_ids = self._chosen("start", ("paused", "stopped", "failed", "cancelled"))
        rows = self.session.rows
        again = [r for r in run_ids if rows[r].status.status in ("failed", "cancelled")]
        if going := [r for r in run_ids if r not in again]:
            self._ask_engine("resume", going, "Queued:")
        if again:
            self._ask_engine("retry", again, "Queued again:")

    def action_stop(self) -> None:
        if run_ids := self._chosen("stop", ("running", "queued")):
            self._pane.app.push_screen(
                Confirm(f"Stop {self._named(run_ids)}?", "Each leaves with a checkpoint; r takes it up again."),
                lambda yes: self._ask_engine("stop", run_ids, "Stopping, with a checkpoint:") if yes else None,
            )

    # ------------------------------------------------------------------ words about a run

    def action_tag(self) -> None:
        run_ids = self._chosen("tag")
        if not run_ids:
            return

        def take(text: str | None) -> None:
            words = (text or "").replace(",", " ").split()
            add, remove = [w for w in words if w[0] != "-"], [w[1:] for w in words if w[0] == "-" and len(w) > 1]
            if words:
                self._do(write_tags, self.session.lab, run_ids, add, remove,
                         said=lambda _: f"Tagged {self._named(run_ids)}: {' '.join(words)}")  # fmt: skip

        now = " ".join(self.session.rows[run_ids[0]].tags) if len(run_ids) == 1 else ""
        hint = f"now: {now}." if now else ""
        self._pane.app.push_screen(AskText(f"Tags for {self._named(run_ids)}: words to add, -words to remove",
                                           hint=hint), take)  # fmt: skip

    def action_note(self) -> None:
        run_ids = self._chosen("note")[:1]
        if not run_ids:
            return

        def take(text: str | None) -> None:
            if text is not None:
                self._do(write_note, self.session.lab, run_ids[0], text, said=lambda _: "Noted.")

        row = self.session.rows[run_ids[0]]
        self._pane.app.push_screen(AskText(f"Note on {row.spec.name}", row.note), take)

    def action_delete(self) -> None:
        run_ids = self._chosen("delete", ("finished", "failed", "stopped", "paused", "cancelled"))
        if run_ids:
            self._pane.app.push_screen(
                Confirm(f"Delete {self._named(run_ids)}, with checkpoints, models and curves?", "This cannot be undone."),
                lambda yes: self._do(delete_runs, self.session.lab, run_ids,
                                     said=lambda freed: f"Deleted; {size(freed)} are free.") if yes else None,
            )  # fmt: skip

    # ------------------------------------------------------------------ looking and taking away

    def action_compare(self) -> None:
        run_ids = [r for r in self.targets() if r in self.session.rows]
        if len(run_ids) < 2:
            self._pane.app.notify("Mark two or more runs with space, then compare them.")
            return
        self._pane.app.push_screen(Page(comparison(self.session, run_ids), wide=True))

    def action_export(self) -> None:
        run_ids = self._chosen("export")
        if run_ids:
            self._do(export_csv, self.session, run_ids, said=lambda paths: "Written: " + ", ".join(map(str, paths)))


def write_tags(lab: Path, run_ids: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> None:
    from shrunk_core.engine.notebook import tag

    tag(lab, run_ids, add=add, remove=remove)


def write_note(lab: Path, run_id: str, text: str) -> None:
    from shrunk_core.engine.notebook import note

    note(lab, run_id, text)


def delete_runs(lab: Path, run_ids: Sequence[str]) -> int:
    from shrunk_core.engine.notebook import delete

    return delete(lab, run_ids)


def comparison(session: LabSession, run_ids: Sequence[str]) -> Content:
    """Settings in which runs differ and their results, a column a run. The page that `shrunk diff` prints for two."""
    from ..columns import BY_NAME, values_of
    from ..overlay import varying

    values = [values_of(session.rows[r]) for r in run_ids]
    names = ["grid", "seed", *varying(values)]
    results = ["status", "num_params", "flops", "loss", "perplexity", "gain", "update", "tags"]
    head = ["", *(str(v["name"]) for v in values)]
    table = [head]
    for name in [n for n in names if len({str(v.get(n)) for v in values}) > 1] + results:
        shown = BY_NAME[name].show if name in BY_NAME else str
        table.append([name, *("-" if v.get(name) is None else shown(v[name]) for v in values)])
    widths = [max(len(line[i]) for line in table) for i in range(len(head))]
    text = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in table]
    return Content.assemble((text[0] + "\n", "bold"), "\n".join(text[1:]), ("\n\nesc closes this", "$text-muted"))


def export_csv(session: LabSession, run_ids: Sequence[str]) -> list[Path]:
    """Two CSV files in the lab's exports/: a line a run with all of its values, and a line an evaluation."""
    from ..columns import values_of
    from ..curves import EVALUATION_FIELDS

    folder = session.lab / "exports"
    folder.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    runs, curves = folder / f"runs-{stamp}.csv", folder / f"evaluations-{stamp}.csv"
    values = [values_of(session.rows[r]) for r in run_ids]
    names = [n for n in values[0] if "." not in n]
    with open(runs, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([["" if v.get(n) is None else v[n] for n in names] for v in values])
    with open(curves, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("run_id", *EVALUATION_FIELDS))
        for run_id in run_ids:
            table = session.curves().get(run_id)[1]
            columns = [table.columns[f].tolist() for f in EVALUATION_FIELDS]
            writer.writerows((run_id, *line) for line in zip(*columns, strict=True))
    return [runs, curves]
