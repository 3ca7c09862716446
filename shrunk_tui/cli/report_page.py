"""The sections of a report, in the order in which a reader asks: what, how good, which law, what next, how sure."""

from __future__ import annotations

import base64
import importlib.metadata
import math
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shrunk_core import __version__
from shrunk_core.errors import FitError, ShrunkError
from shrunk_core.store import queries
from shrunk_core.store.store import Store

from ..charts import Chart, Series
from ..figures import render
from ..format import count, flops, short
from ..scaling_charts import fit_chart, frontier_chart, ladder_chart
from .fitting import Asked, explaining, measured, report
from .frontiers import list_frontier, losses
from .overlay import reference_overlay
from .points import Points
from .points_lab import lab_points
from .pricing import list_icer
from .report_tasks import report_tasks
from .sources import Source

LAWS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Power law of FLOPs", "fit power", {"form": "power", "x": "flops"}),
    ("Power law with an irreducible loss", "fit power --irreducible", {"form": "power", "x": "flops", "irreducible": True}),
    ("Power law of parameters", "fit power --x params", {"form": "power", "x": "params"}),
    ("Two laws with a break in FLOPs", "fit broken", {"form": "broken", "x": "flops"}),
    ("Parameters and tokens together", "fit chinchilla", {"form": "chinchilla"}),
)  # fmt: skip
_VERSIONS = ("numpy", "scipy", "duckdb", "matplotlib")
_MOST_CURVES = 12


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of `shrunk report`. stem: of the figures' file names; "" puts them inside the page."""

    title: str
    where: str | None
    counting: str
    evaluation_id: str | None
    reference: str | None
    bootstrap: int
    stem: str


@dataclass(kw_only=True)
class Page:
    """A page as it grows: its lines, its figures by file name, and the caveats that its sections found."""

    wanted: Wanted
    lines: list[str] = field(default_factory=list)
    figures: dict[str, bytes] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip() + "\n"

    @property
    def caveats(self) -> int:
        return len(self.found)

    def say(self, *lines: str) -> None:
        self.lines += [*lines, ""]

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
        self.say(
            "| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in cells)
        )

    def figure(self, name: str, chart: Chart) -> None:
        body = render(chart, "svg")
        if self.wanted.stem:
            name = f"{self.wanted.stem}-{name}.svg"
            self.figures[name] = body
            self.say(f"![{chart.title}]({name})")
        else:
            self.say(f"![{chart.title}](data:image/svg+xml;base64,{base64.b64encode(body).decode()})")

    def warn(self, *caveats: str) -> None:
        self.found += [one for one in caveats if one not in self.found]

    def command(self, words: str) -> None:
        """The command that makes the section again, with the choices of the whole page."""
        more = f" --where {shlex.quote(self.wanted.where)}" if self.wanted.where else ""
        more += f" --evaluation-id {self.wanted.evaluation_id}" if self.wanted.evaluation_id else ""
        if self.wanted.counting != "paper" and not words.startswith("correlate"):
            more += f" --counting {self.wanted.counting}"
        self.say(f"`shrunk {words}{more}`")


def page(store: Store, wanted: Wanted) -> Page:
    """The whole page. FitError when the lab has no finished run; a section that is refused says why and the rest stands."""

    def read(counting: str, every: bool = False) -> Points:
        return lab_points(store, counting=counting, where=wanted.where, evaluation_id=wanted.evaluation_id, every=every)

    made = Page(wanted=wanted)
    points = read(wanted.counting)
    source = Source(read=read, counting=wanted.counting, home=store, lab=True)
    made.say(f"# {wanted.title}")
    made.say(
        f"{len(points)} finished runs, one evaluation set (`{points.evaluation_id}`), FLOPs counted as "
        f"`{wanted.counting}`. Intervals are 95 %, from resampling runs with seeds of one shape together. Losses are nats "
        "per masked token on the validation split, every scored token replaced by the mask."
    )
    _settings(made, store, points)
    _results(made, store, points)
    _curves(made, store, points)
    _laws(made, store, source, points)
    _frontier(made, source, read(wanted.counting, True))
    _prices(made, source)
    report_tasks(made, store, points)
    _general_caveats(made, store, points)
    made.say("## Caveats found")
    made.say(*(f"- {one}" for one in made.found) if made.found else ("None.",))
    _versions(made, store, points)
    return made


# ---------------------------------------------------------------- sections


def _rows(store: Store, points: Points) -> list[dict[str, Any]]:
    table = queries.runs_table(store)
    wanted = set(points.values("run_id"))
    return [row for one in table.rows if (row := dict(zip(table.columns, one, strict=True)))["run_id"] in wanted]


def _settings(made: Page, store: Store, points: Points) -> None:
    made.say("## Settings")
    values = {name: sorted({str(value) for value in points.values(name)}) for name in points.described}
    varied = {name: found for name, found in values.items() if len(found) > 1}
    made.say("What varies between the runs:")
    shown = {name: sorted(set(points.values(name)), key=lambda v: (isinstance(v, str), v)) for name in varied}
    made.table(("setting", "values"), [(f"`{n}`", ", ".join(map(str, v[:20]))) for n, v in shown.items()])
    made.say("What they share:")
    made.table(("setting", "value"), [(f"`{n}`", f[0]) for n, f in values.items() if n not in varied and f[0]])
    for view, columns in (
        ("corpora", ("fingerprint", "sources", "vocabulary", "units_seen", "units_kept", "words_kept")),
        ("tokenizers", ("fingerprint", "kind", "vocab_size", "train_tokens", "validation_tokens")),
    ):
        own = "corpus_fingerprint" if view == "corpora" else "tokenizer_fingerprint"
        used = {row[own] for row in _rows(store, points)}
        found = store.query(f"select {', '.join(columns)} from {view}").rows
        rows = [row for row in found if row[0] in used]
        if rows:
            made.say(f"{view.capitalize()}:")
            made.table(columns, [[", ".join(c) if isinstance(c, list | tuple) else c for c in row] for row in rows])


def _results(made: Page, store: Store, points: Points) -> None:
    made.say("## Results")
    known = {row["run_id"]: row for row in _rows(store, points)}
    noise = {
        row[0]: row[1:]
        for row in store.query(
            "select run_id, arg_max(loss_stderr, update), arg_max(num_masked_tokens, update), "
            "arg_max(unigram_stderr, update) from evaluations where split = 'validation' group by run_id"
        ).rows
    }
    rows = []
    flat = []
    for row in sorted(points.rows, key=lambda one: one["loss"]):
        error, n, paired = noise[row["run_id"]]
        unigram = known[row["run_id"]]["unigram_loss"]
        gain = None if unigram is None else unigram - row["loss"]
        if gain is not None and paired is not None and gain < 2 * paired:
            flat.append(row["name"])
        rows.append(
            (row["name"], row["seed"], count(row["n"]), flops(row["flops"]), f"{row['loss']:.4f}", f"{error:.4f}",
             f"{row['perplexity']:.2f}", "-" if gain is None else f"{gain:.3f}", n)
        )  # fmt: skip
    made.table(
        ("run", "seed", "parameters", "FLOPs", "loss", "standard error", "perplexity", "gain over the unigram", "n"),
        rows,
    )
    made.say('`shrunk sql "from runs order by final_loss"`')
    if flat:
        made.warn(f"{len(flat)} runs are within two standard errors of the unigram baseline: they have learned word "
                  f"frequencies and little else ({', '.join(flat[:5])})")  # fmt: skip


def _curves(made: Page, store: Store, points: Points) -> None:
    ranked = sorted(points.rows, key=lambda row: row["loss"])
    step = max(1, math.ceil(len(ranked) / _MOST_CURVES))
    chosen = ranked[::step][:_MOST_CURVES]
    names = {row["run_id"]: row["name"] for row in chosen}
    curves = queries.evaluation_curves(store, list(names))
    if not any(len(curve.update) > 1 for curve in curves):
        return
    made.say("## Learning curves")
    if len(chosen) < len(ranked):
        made.say(f"{len(chosen)} of {len(ranked)} runs, from the best to the worst.")
    series = tuple(
        Series(label=names[c.run_id], x=c.tokens, y=c.loss, line=True, colour=i) for i, c in enumerate(curves)
    )
    made.figure(
        "curves", Chart(title="validation loss", x_label="tokens", y_label="loss (nats)", series=series, log_x=True)
    )
    made.command("plot --x tokens --what validation")


def _laws(made: Page, store: Store, source: Source, points: Points) -> None:
    made.say("## Laws")
    for number, (name, words, options) in enumerate(LAWS):
        made.say(f"### {name}")
        asked = Asked(bootstrap=made.wanted.bootstrap, hold_out_largest=True, **options)
        try:
            found, fitted = report(points, asked, source.others)
        except FitError as refused:
            made.say(f"Refused: {refused}.")
            continue
        beside = None
        if made.wanted.reference and measured(points) == "loss":
            x = list(explaining(points, asked).values())[-1]
            try:
                beside = reference_overlay(store, made.wanted.reference, x, points.counting, points.evaluation_id,
                                           set(points.values("run_id")), last_only=True)  # fmt: skip
            except ShrunkError as refused:
                made.warn(str(refused))
        _law(made, found)
        made.figure(f"law-{number + 1}", fit_chart(fitted.result, fitted.used, fitted.x, fitted.y, overlay=beside))
        made.command(
            words
            + " --hold-out-largest"
            + (f" --bootstrap {made.wanted.bootstrap}" if made.wanted.bootstrap != 1000 else "")
        )
        made.warn(*(f"{name}: {one}" for one in found["warnings"]))


def _law(made: Page, found: Mapping[str, Any]) -> None:
    if not found["identifiable"]:
        made.say(f"**Not identifiable**: {found['reason']}. No numbers are quoted.")
    else:
        spans, values = dict(found["intervals"]), dict(found["params"])
        if found.get("break") is not None:
            values["break"], spans["break"] = found["break"], found["break_interval"]
        made.table(
            ("parameter", "value", "95 % interval"),
            [(n, short(v), _span(*spans.get(n, (None, None)))) for n, v in values.items()],
        )
    text = (
        f"{found['points']} points of {found['clusters']} independent runs ({found['runs']} trained), {found['loss']} loss, "
        f"{found['bootstrap']} resamples; objective {short(found['objective'])}, R2 {short(found['r2'])}, "
        f"AIC {short(found['aic'])}."
    )
    if found.get("test_one_law") is not None:
        text += f" One law in the place of two: p = {found['test_one_law']:.3f}."
    held = found.get("held_out")
    if held:
        text += (
            f" Fitted without the top budget ({held['points']} points) it predicts them with a root mean square error of "
            f"{100 * held['log_error']:.2f} %, bias {100 * held['bias']:+.2f} %."
        )
    made.say(text)
    if found["leverage"]:
        made.table(
            ("the point that moves it most", "parameter", "with it", "without it"),
            [(f"{one['run']}, x = {short(one['x'])}", one["param"], short(one["value"]), short(one["without"]))
             for one in found["leverage"]],
        )  # fmt: skip


def _frontier(made: Page, source: Source, curves: Points) -> None:
    made.say("## Compute-optimal frontier")
    for method in ("envelope", "isoflop"):
        pool = curves if method == "envelope" else source.points()
        this = Source(
            read=lambda _, pool=pool: pool, counting=source.counting, home=source.home, lab=True, one_counting=True
        )
        try:
            _, rows, notes = list_frontier(this, method, False, 0)
        except ShrunkError as refused:
            made.say(f"{method}: {refused}.")
            continue
        if method == "envelope":
            unfinished = sum("unfinished" in row["warning"] for row in rows)
            made.say(f"Lower envelope: {notes[0]}; {unfinished} of the points are of unfinished schedules.")
            made.figure("frontier", frontier_chart(pool, rows, losses(pool), method))
        else:
            made.table(
                ("FLOPs", "best parameters", "best tokens", "loss", "note"),
                [
                    (flops(r["flops"]), short(r["n_opt"]), short(r["d_opt"]), short(r["loss"]), r["warning"])
                    for r in rows
                ],
            )
            made.say(*notes)
        made.command(f"frontier --method {method}")


def _prices(made: Page, source: Source) -> None:
    made.say("## What the next unit of quality costs")
    for method in ("ladder", "dominance"):
        try:
            rows, notes = list_icer(source, "all", method, "flops", "perplexity", [])
        except ShrunkError as refused:
            made.say(f"{method}: {refused}.")
            continue
        first = ("axis", "rung") if method == "ladder" else ("run", "status")
        made.table(
            (*first, "FLOPs", "perplexity", f"fall of perplexity {rows[0]['unit']}", "95 % interval", "warning"),
            [(*((r["axis"], r["at"]) if method == "ladder" else (r["run"], r["status"])), flops(r["cost"]), short(-r["effect"]),
              short(r["effect_per_unit"]), _span(r["low"], r["high"]), r["warning"]) for r in rows],
        )  # fmt: skip
        made.say(*(f"- {note}" for note in notes if " at base " in note))
        made.figure(f"icer-{method}", ladder_chart(rows, "flops", "perplexity"))
        made.command(f"icer --method {method}")
        made.warn(*(f"{method}: {note}" for note in notes if " at base " not in note))


def _general_caveats(made: Page, store: Store, points: Points) -> None:
    seeds = len(set(points.values("seed")))
    if seeds == 1:
        made.warn("one seed a shape: differences between shapes include the noise of initialisation and order")
    rows = queries.runs_table(store)
    open_runs = [
        name for name, status in zip(rows.column("name"), rows.column("status"), strict=True) if status != "finished"
    ]
    if open_runs:
        made.warn(f"{len(open_runs)} runs of the lab have not finished and are left out ({', '.join(open_runs[:5])})")
    others = [row[0] for row in queries.evaluation_sets(store).rows if row[0] != points.evaluation_id]
    if others:
        made.warn(f"the lab has {len(others)} other evaluation sets, whose losses do not compare: {', '.join(others)}")
    repeated = [
        row["name"] for row in points.rows if (row.get("train_tokens") or 0) and row["d"] > 4 * row["train_tokens"]
    ]
    if repeated:
        made.warn(
            f"{len(repeated)} runs passed over their training tokens more than four times ({', '.join(repeated[:5])})"
        )


def _versions(made: Page, store: Store, points: Points) -> None:
    made.say("## Versions")
    rows = _rows(store, points)
    machines = sorted({f"{row['device_name']} ({row['device_used']})" for row in rows if row["device_name"]})
    torch = sorted({row["torch_version"] for row in rows if row["torch_version"]})
    trained = sorted({row["shrunk_version"] for row in rows if row["shrunk_version"]})
    found = [("shrunk-tui", __version__), ("Python", platform.python_version())]
    found += [(name, importlib.metadata.version(name)) for name in _VERSIONS]
    found += [
        ("trained with shrunk-tui", ", ".join(trained)),
        ("torch", ", ".join(torch)),
        ("trained on", ", ".join(machines)),
    ]
    made.table(("what", "version"), found)
    made.say(f"Written {datetime.now(UTC).strftime('%Y-%m-%d %H:%M')} UTC.")


def _span(low: float | None, high: float | None) -> str:
    return "-" if low is None and high is None else f"[{short(low)}, {short(high)}]"
