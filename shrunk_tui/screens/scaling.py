"""The Scaling screen: laws with their intervals, frontiers, ladders and correlations, redrawn as runs finish."""

from __future__ import annotations

import textwrap
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.text import Text
from shrunk_core.errors import StoreError
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.events import Resize
from textual.timer import Timer
from textual.widgets import Input, Static

from .pane import Pane
from .scaling_choice import AXES, COSTS, COUNTINGS, FORMS, METHODS, NAMES, POINTS, PRICINGS, RESIDUALS, VIEWS, Choice

if TYPE_CHECKING:
    from ..charts import Chart
    from ..look import Look
    from .scaling_answer import Study

WIDE = 110
"""Columns from which the numbers stand beside the chart rather than below it."""
DEBOUNCE = 1.5
"""Seconds of quiet after news before the law is fitted again; a grid that finishes run after run is fitted at least
every `PATIENCE` seconds."""
PATIENCE = 8.0
RETRY = 3.0
"""Seconds until the lab is asked again where its index was busy."""
STUDY = "shrunk_tui.screens.scaling_study"
"""Where the answers are worked out, in a process beside this one."""
_NEWS = ("reference-imported", "reference-removed", "cell-finished")


class ScalingPane(Pane):
    """Which law, and how sure? Which dimension is the cheapest to grow? Does perplexity predict the score?"""

    title = "Scaling"
    help_text = (
        "Loss against FLOPs, parameters or tokens with a fitted law, its 95 % band over resampled runs, its break and its "
        "residuals. Begin with f (which law), x (what grows) and v: frontier, ladders (what does the next unit of quality "
        "cost?) and correlations with task scores. / keeps a subset, such as num_layers == 2. o lays imported curves over "
        "it. Numbers are refitted as runs finish. The line at the top is the command that prints the same."
    )
    twin = "shrunk fit, shrunk frontier, shrunk icer, shrunk correlate"

    BINDINGS = [
        Binding("v", "view(1)", "View"),
        Binding("V", "view(-1)", "View before", show=False),
        Binding("f", "step('form', 1)", "Law"),
        Binding("F", "step('form', -1)", "Law before", show=False),
        Binding("x", "step('x', 1)", "Axis"),
        Binding("c", "step('counting', 1)", "Counting"),
        Binding("p", "points", "Points"),
        Binding("slash", "subset", "Subset"),
        Binding("g", "group", "Colour by", show=False),
        Binding("r", "residuals", "Residuals"),
        Binding("o", "overlay", "Overlay"),
        Binding("s", "save", "Save"),
        Binding("k", "keep", "Keep the fit in the lab", show=False),
        Binding("e", "effect", "Effect", show=False),
        Binding("m", "pricing", "Dominance or ladders", show=False),
        Binding("d", "evaluation_set", "Evaluation set", show=False),
        Binding("down,j", "scroll_numbers(1)", "Numbers down", show=False),
        Binding("up", "scroll_numbers(-1)", "Numbers up", show=False),
        Binding("pagedown", "scroll_numbers(8)", "Page down", show=False),
        Binding("pageup", "scroll_numbers(-8)", "Page up", show=False),
    ]

    DEFAULT_CSS = """
    ScalingPane { layout: vertical; }
    ScalingPane #scaling-head { height: 1; color: $text-muted; }
    ScalingPane #scaling-where { height: 1; border: none; padding: 0; display: none; }
    ScalingPane #scaling-where.-open { display: block; }
    ScalingPane #scaling-body { layout: vertical; height: 1fr; }
    ScalingPane #scaling-chart { height: 1fr; min-height: 12; width: 1fr; }
    ScalingPane #scaling-side { height: 5; width: 1fr; padding: 0 0 0 1; background: $surface; overflow-x: auto; }
    ScalingPane #scaling-numbers { width: auto; text-wrap: nowrap; }
    ScalingPane #scaling-side.-tall { height: 40%; }
    ScalingPane.-wide #scaling-body { layout: horizontal; }
    ScalingPane.-wide #scaling-chart { height: 1fr; }
    ScalingPane.-wide #scaling-side, ScalingPane.-wide #scaling-side.-tall { height: 1fr; width: 56; }
    """

    can_focus = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.choice = Choice.read(self.session.state.get("scaling.choice", {}))
        self.study: Study | None = None
        self._timer: Timer | None = None
        self._waiting_since = 0.0
        self._front = False
        self._stale = True
        self._finished: frozenset[str] | None = None
        """Runs that take part in what is shown; None before the first look at the lab."""

    # ------------------------------------------------------------------ life

    def compose(self) -> ComposeResult:
        yield Static(id="scaling-head")
        yield Input(placeholder="which runs: hidden_size < 64 and num_layers == 2; empty for all", id="scaling-where")
        with Container(id="scaling-body"):
            yield Static("", id="scaling-chart")
            with VerticalScroll(id="scaling-side", can_focus=False):
                yield Static("", id="scaling-numbers", markup=False)

    def shown(self) -> None:
        self._front = True
        self.focus()
        self._lay_out()
        if self._stale:
            self.refit()

    def hidden(self) -> None:
        self._front = False
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
            self._stale = True

    def lab_changed(self, look: Look) -> None:
        """Fit again once it is quiet, when a run finished or a curve grew that takes part."""
        growing = self.choice.points != "final" or self.choice.view == "frontier"
        kinds = {event.kind for _, event in look.events}
        finished = self._finished_now()
        if self._finished is None:  # the first look: what is there is being fitted already
            self._finished = finished
        if finished != self._finished or kinds & set(_NEWS) or (growing and "evaluated" in kinds):
            self._finished = finished
            self._later(DEBOUNCE)

    def _finished_now(self) -> frozenset[str]:
        return frozenset(run_id for run_id, row in self.session.rows.items() if row.status.status == "finished")

    def set_arguments(self, **arguments: Any) -> None:
        """grid, or where: the runs to show; view: one of the views."""
        changes: dict[str, Any] = {}
        if grid := arguments.get("grid"):
            changes["where"] = f"grid == '{grid}'"
        changes |= {name: arguments[name] for name in ("where", "view", "form") if name in arguments}
        self._choose(**changes)

    def _later(self, seconds: float) -> None:
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if self._timer is not None:
            if now - self._waiting_since + seconds > PATIENCE:
                return  # it goes off soon enough
            self._timer.stop()
        self._timer = self.set_timer(seconds, self.refit)

    # ------------------------------------------------------------------ fitting, off the UI thread

    def refit(self) -> None:
        """Work the choice out in a thread; what is on the screen stays until the answer comes."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._waiting_since, self._stale = 0.0, False
        self._head("working ...")
        self._answer(first=True)

    def _answer(self, first: bool) -> None:
        self.session.work(self, self._work, self.choice, first, then=self._done, failed=self._failed, group="study")

    def _work(self, choice: Choice, first: bool) -> tuple[Study, float]:
        return self.session.aside(f"{STUDY}:answer", self.session.lab, self.session.looking, choice, first)

    def _done(self, answer: tuple[Study, float]) -> None:
        found, pending = answer
        again = self.study is not None and self.study.choice == found.choice and found.whole
        self.study = found
        self._show_numbers(keep_place=again)
        if not again:
            self._draw()
        self._head()
        if not found.whole:
            self._answer(first=False)
        if pending > 0 and self._front:
            self._later(pending + 0.1)

    def _failed(self, problem: Exception) -> None:
        self._head("could not be worked out")
        self.query_one("#scaling-numbers", Static).update("\n".join(textwrap.wrap(str(problem), 50)))
        if isinstance(problem, StoreError) and self._front:  # another process holds the index for a moment
            self._later(RETRY)

    # ------------------------------------------------------------------ showing

    def on_resize(self, event: Resize) -> None:
        self._lay_out()
        self.call_after_refresh(self._draw)

    def _lay_out(self) -> None:
        self.set_class(self.size.width >= WIDE, "-wide")
        self.query_one("#scaling-side").set_class(self.choice.view != "law", "-tall")

    def _draw(self) -> None:
        chart = self.study.chart if self.study else None
        widget = self.query_one("#scaling-chart", Static)
        width, height = widget.size.width, widget.size.height
        if chart is None or width < 30 or height < 8:
            widget.update(self._empty() if chart is None else "")
            return
        self.session.work(
            self, _drawn, chart, width, height, self.choice.residuals, self.session.ascii, then=widget.update, group="draw"
        )  # fmt: skip

    def _empty(self) -> str:
        return "" if self.study is None else "\n  " + (self.study.problem or "Nothing to draw.")

    def _show_numbers(self, keep_place: bool = False) -> None:
        found = self.study
        if found is None:
            return
        from .scaling_answer import wrapped

        side = self.query_one("#scaling-side")
        lines = list(found.lines)
        if found.problem and found.chart is not None:
            lines = ["NO LAW", found.problem, "", *lines]
        self.query_one("#scaling-numbers", Static).update(wrapped(lines, max(30, side.size.width - 3)))
        self._lay_out()
        if not keep_place:
            side.scroll_home(animate=False)

    def _head(self, state: str = "") -> None:
        choice = self.study.choice if self.study else self.choice
        parts = [self.choice.view]
        if self.choice.view == "law":
            parts += [self.choice.form, NAMES[self.choice.points]]
        if self.choice.view == "frontier":
            parts.append(self.choice.method)
        if self.choice.view == "ladders":
            parts += [self.choice.pricing, f"{self.choice.effect} for {self.choice.cost}"]
        if self.choice.where:
            parts.append(self.choice.where)
        if choice.evaluation_id and self.study:
            parts.append(f"set {choice.evaluation_id[:6]} (1 of {len(self.study.sets)}, d: next)")
        text = state or choice.headless()
        self.query_one("#scaling-head", Static).update(
            Text(f" {' · '.join(parts)}   {text}", no_wrap=True, overflow="ellipsis")
        )

    # ------------------------------------------------------------------ choosing

    def _choose(self, **changes: Any) -> None:
        self.choice = replace(self.choice, **changes)
        self.session.state.set("scaling.choice", self.choice.plain())
        self._lay_out()
        self.refit()

    def action_view(self, by: int) -> None:
        self._choose(view=self.choice.stepped("view", VIEWS, by).view)

    def action_step(self, name: str, by: int) -> None:
        """Law, axis, counting. In the ladders the axis key chooses what is paid."""
        if name == "x" and self.choice.view == "ladders":
            self._choose(cost=self.choice.stepped("cost", COSTS, by).cost)
            return
        values = {"form": FORMS, "x": AXES, "counting": COUNTINGS}[name]
        view = {"view": "law"} if name == "form" else {}
        self._choose(**{name: getattr(self.choice.stepped(name, values, by), name)}, **view)

    def action_points(self) -> None:
        """Which points of the curves; in the frontier view, how it is drawn."""
        if self.choice.view == "frontier":
            self._choose(method=self.choice.stepped("method", METHODS).method)
        else:
            self._choose(points=self.choice.stepped("points", POINTS).points)

    def action_residuals(self) -> None:
        self._choose(residuals=self.choice.stepped("residuals", RESIDUALS).residuals)

    def action_pricing(self) -> None:
        self._choose(pricing=self.choice.stepped("pricing", PRICINGS).pricing)

    def action_group(self) -> None:
        names = ("", *(self.study.groups if self.study else ()))
        self._choose(group=self.choice.stepped("group", names).group)

    def action_overlay(self) -> None:
        known = self.study.references if self.study else ()
        if not known:
            self.app.notify("No curves are imported yet. `shrunk import paper-curves FILE` takes some in.")
            return
        self._choose(reference=self.choice.stepped("reference", ("", *known)).reference)

    def action_effect(self) -> None:
        names = ("perplexity", *(self.study.tasks if self.study else ()))
        if len(names) == 1:
            self.app.notify("No run has a task score yet: perplexity is the only effect. `shrunk glue` makes some.")
        self._choose(effect=self.choice.stepped("effect", names).effect)

    def action_evaluation_set(self) -> None:
        sets = self.study.sets if self.study else ()
        if len(sets) > 1 and self.study:
            now = replace(self.choice, evaluation_id=self.study.choice.evaluation_id)
            self._choose(evaluation_id=now.stepped("evaluation_id", sets).evaluation_id)

    def action_subset(self) -> None:
        line = self.query_one("#scaling-where", Input)
        line.value = self.choice.where
        line.add_class("-open")
        line.focus()

    @on(Input.Submitted, "#scaling-where")
    def _subset(self, message: Input.Submitted) -> None:
        message.stop()
        self._close_subset()
        self._choose(where=message.value.strip())

    def key_escape(self) -> None:
        if self.query_one("#scaling-where").has_class("-open"):
            self._close_subset()

    def _close_subset(self) -> None:
        self.query_one("#scaling-where").remove_class("-open")
        self.focus()

    def action_scroll_numbers(self, by: int) -> None:
        self.query_one("#scaling-side").scroll_relative(y=by, animate=False)

    # ------------------------------------------------------------------ keeping

    def action_save(self) -> None:
        """The chart as SVG and PNG into the lab's exports."""
        if self.study is None or self.study.chart is None:
            self.app.notify("There is no chart to save yet.")
            return
        if self.refuse_write("save figures"):
            return
        choice = self.study.choice
        detail = {"law": choice.form, "frontier": choice.method, "ladders": choice.pricing}.get(choice.view, "")
        name = "-".join(part.replace(" ", "").replace("+", "-") for part in (choice.view, detail, choice.x) if part)
        self.session.work(self, self.session.aside, f"{STUDY}:save", self.study.chart, self.session.lab / "exports", name,
                          then=lambda paths: self.app.notify("Saved " + " and ".join(paths)), group="save")  # fmt: skip

    def action_keep(self) -> None:
        """The fit as a row of the view `fits`."""
        found = self.study
        if found is None or not found.found:
            self.app.notify("There is no fit to keep: choose a law with f.")
            return
        if self.refuse_write("keep fits"):
            return
        name = f"{found.choice.form} of {found.choice.x}" + (f", {found.choice.where}" if found.choice.where else "")
        self.session.work(self, self.session.aside, f"{STUDY}:keep", self.session.lab, name, found.found,
                          found.choice.headless(), then=lambda _: self.app.notify(
                              f"Kept as {name}: shrunk sql \"from fits\""), group="keep")  # fmt: skip


def _drawn(chart: Chart, width: int, height: int, residuals: str, ascii_only: bool) -> Text:
    """The chart in the lines that are there: the legend and the notes take from the plot."""
    from ..charts import LEAST_HEIGHT_OF_TWO, draw_within, residuals_alone

    if residuals == "alone" and chart.residuals:
        chart = residuals_alone(chart)
    elif chart.residuals and height < LEAST_HEIGHT_OF_TWO + 4:
        chart = replace(chart, residuals=())
    text = draw_within(chart, width=width, height=height, ascii_only=ascii_only)
    return Text.from_ansi("\n".join(text.splitlines()[:height]), no_wrap=True)
