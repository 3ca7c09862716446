"""The Design screen: a grid as a form, beside it every run that it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Static

from ..design_form import form_rows, headings, preview_cells, totals, typed_value, words_about
from ..widgets.plain_table import PlainTable
from ..widgets.setting_list import SettingList
from .design_actions import DesignActions

if TYPE_CHECKING:
    from shrunk_core.config.document import GridDocument
    from shrunk_core.config.spec import CorpusSpec
    from shrunk_core.engine.preview import Preview

    from ..look import Look

WIDE, HIGH = 100, 34
"""From this width the preview stands beside the form, from this height the scatter below the preview."""

UNDO = 100
COUNTINGS = ("paper", "executed", "hoffmann", "kaplan")


class DesignPane(DesignActions):
    """Form on the left, preview and scatter on the right; on a narrow terminal one of them at a time."""

    title = "Design"
    help_text = (
        "Make a grid of runs. enter edits a setting: one value is that value, several with commas (16, 32, 64) make an axis. "
        "The preview lists every run with its cost on this machine, what exists already (✓) and what is impossible and why "
        "(✗). mode says how axes combine: product, zip, or one-factor (the base, then each axis alone). i finds shapes of one "
        "size or one price. s saves the grid as a TOML file with its comments, r starts it; the lab's supervisor trains on when "
        "this screen is closed."
    )
    twin = "shrunk plan GRID.toml, then shrunk run GRID.toml"
    BINDINGS = [
        Binding("r", "start", "Start"),
        Binding("s,ctrl+s", "save", "Save"),
        Binding("delete,backspace,x", "clear", "Take out", key_display="x"),
        Binding("u,ctrl+z", "undo", "Undo", show=False),
        Binding("n", "new", "New"),
        Binding("o", "open", "Open"),
        Binding("l", "language", "Language"),
        Binding("t", "tokenizer", "Tokenizer", show=False),
        Binding("i", "iso", "Iso"),
        Binding("c", "counting", "Counting"),
        Binding("v", "view", "View"),
        Binding("m", "more", "More settings", show=False),
        Binding("left", "cycle(-1)", "Previous choice", show=False),
        Binding("right", "cycle(1)", "Next choice", show=False),
    ]
    DEFAULT_CSS = """
    DesignPane { layout: vertical; }
    DesignPane > Horizontal { height: 1fr; }
    DesignPane SettingList { width: 1fr; max-width: 58; min-width: 40; }
    DesignPane #design-right { width: 2fr; }
    DesignPane #design-right > PlainTable { height: 1fr; }
    DesignPane #design-right > #design-about { height: auto; max-height: 4; padding: 0 1; }
    DesignPane #design-right > #design-chart { height: 40%; }
    DesignPane > #design-totals { height: auto; max-height: 3; padding: 0 1; background: $panel; }
    DesignPane > #design-totals.-error { color: $text-error; }
    DesignPane.-narrow SettingList { max-width: 100%; }
    DesignPane.-narrow.-form #design-right { display: none; }
    DesignPane.-narrow.-table SettingList, DesignPane.-narrow.-chart SettingList { display: none; }
    DesignPane.-low.-form #design-chart, DesignPane.-low.-table #design-chart { display: none; }
    DesignPane.-low.-chart PlainTable, DesignPane.-low.-chart #design-about { display: none; }
    DesignPane.-low #design-right > #design-chart { height: 1fr; }
    """

    def __init__(self, session: Any, name: str) -> None:
        super().__init__(session, name)
        self.document: GridDocument
        self.preview: Preview | None = None
        self.rows: list[dict[str, Any]] = []
        self.everything = False
        self.counting: str = session.state.get("design.counting", COUNTINGS[0])
        self._undo: list[GridDocument] = []
        self._saved = ""
        self._view = "form"
        self._fingerprints: dict[CorpusSpec, str] = {}
        self._trouble: dict[CorpusSpec, str] = {}
        self._slots = 1
        self._working = self._again = False

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield SettingList(id="design-form")
            with Vertical(id="design-right"):
                yield PlainTable(headings(self.counting), ascii_only=self.session.ascii, id="design-table")
                yield Static("", id="design-about", markup=False)
        yield Static("working out what this grid stands for ...", id="design-totals", markup=False)

    def on_mount(self) -> None:
        self._fold(self.app.size.width, self.app.size.height)
        self._begin()

    def _begin(self) -> None:
        """Take up the grid that was left, or a new one."""
        from shrunk_core.config.document import new_document, parse_document
        from shrunk_core.errors import ShrunkError

        text, path = self.session.state.get("design.text", ""), self.session.state.get("design.path", "")
        self._saved = self.session.state.get("design.saved", "")
        document: GridDocument
        try:
            document = parse_document(text, Path(path)) if text else new_document(self.place("my grid"))
        except (ShrunkError, ValueError):
            document = new_document(self.place("my grid"))
        self.document = document
        self._show_form()

    @property
    def table(self) -> PlainTable:
        return self.query_one("#design-table", PlainTable)

    # ------------------------------------------------------------------ coming to the front

    def shown(self) -> None:
        self._focus()
        self.session.work(self, self._read_slots, then=self._take_slots, group="slots")
        self._look()

    def _focus(self) -> None:
        if self._view == "table":
            self.table.focus()
        elif self._view == "chart" and (chart := self.query("#design-chart")):
            chart.first().focus()
        else:
            self.form.lines.focus()

    def lab_changed(self, look: Look) -> None:
        known = {row["run_id"] for row in self.rows}
        if not self.preview or look.changed & known or look.removed & known:
            self._look()

    def set_arguments(self, *, document: GridDocument | None = None, **arguments: Any) -> None:
        """Another screen brings a grid along."""
        if document is not None:
            self.change(document)

    def _read_slots(self) -> int:
        from shrunk_core.config.lab import read_settings
        from shrunk_core.engine.hardware import cores, worker_devices

        return read_settings(self.session.lab).slots or len(worker_devices()) or cores()

    def _take_slots(self, slots: int) -> None:
        self._slots = slots
        self._tell()

    # ------------------------------------------------------------------ the document

    def change(self, document: GridDocument) -> None:
        """Another document in the form; undo goes back."""
        self._undo = [*self._undo[-UNDO:], self.document]
        self.take(document)

    def take(self, document: GridDocument) -> None:
        self.document = document
        state = self.session.state
        state.set("design.text", document.text())
        state.set("design.path", str(document.path))
        state.set("design.saved", self._saved)
        self._show_form()
        self._look()

    def _show_form(self) -> None:
        self.form.show(form_rows(self.document, self.everything))
        path = self.document.path
        inside = path.is_relative_to(self.session.lab)
        name = str(path.relative_to(self.session.lab) if inside else path)
        self.form.lines.border_title = name + (" (not saved)" if self.is_dirty else "")

    @on(SettingList.Chosen)
    def _chosen(self, event: SettingList.Chosen) -> None:
        self.form.say(words_about(event.key, self.document) if event.key else "")

    @on(SettingList.Edit)
    def _edit(self, event: SettingList.Edit) -> None:
        from shrunk_core.config.document import settings

        if event.key in settings():
            self.form.edit(event.key, typed_value(self.document, event.key))
            self.form.say(words_about(event.key, self.document))

    @on(SettingList.Typed)
    def _typed(self, event: SettingList.Typed) -> None:
        from shrunk_core.errors import ShrunkError

        try:
            document = self.document.typed(event.key, event.text)
            if event.key == "name" and not self.document.path.exists():
                document = document.moved(self.place(document.name))
        except ShrunkError as problem:
            self.form.say(str(problem), error=True)
            return
        self.form.done()
        self.change(document)

    def action_clear(self) -> None:
        """An axis becomes the one value again; a value becomes the default."""
        if self.form.key and not self.form.editing:
            self.change(self.document.without(self.form.key))

    def action_cycle(self, by: int) -> None:
        """The next of a setting's choices."""
        from shrunk_core.config.document import settings

        setting = settings().get(self.form.key)
        choices = setting.choices or (("false", "true") if setting.kind == "switch" else ()) if setting else ()
        if setting is None or not choices:
            return
        now = typed_value(self.document, setting.key) or str(setting.default).lower()
        at = choices.index(now) if now in choices else 0
        self.change(self.document.typed(setting.key, choices[(at + by) % len(choices)]))

    def action_undo(self) -> None:
        if not self._undo:
            self.app.notify("Nothing to undo.")
            return
        self.take(self._undo.pop())

    def action_more(self) -> None:
        """Every setting there is, or the usual ones."""
        self.everything = not self.everything
        self._show_form()

    # ------------------------------------------------------------------ the preview

    def _look(self) -> None:
        """Work the preview out again, in a thread; once more when it is done if something changed meanwhile."""
        if self._working:
            self._again = True
            return
        self._working = True
        statuses = {run_id: row.status.status for run_id, row in self.session.rows.items()}
        known = {**self._fingerprints, **dict.fromkeys(self._trouble, "")}
        self.session.work(
            self, _worked_out, self.document, statuses, known, self.session.lab, self.counting,
            then=self._take_preview, group="preview",
        )  # fmt: skip

    def _take_preview(self, found: tuple[Preview, list[dict[str, Any]]]) -> None:
        self._working = False
        self.preview, self.rows = found
        self.table.empty = "" if self.rows else "no runs: see the line below"
        self.table.show(preview_cells(self.rows, self.counting, self.session.ascii), headings(self.counting))
        self._tell()
        self._about()
        self._draw()
        if self._again:
            self._again = False
            self._look()
        elif self.preview.unknown:
            corpus = self.preview.unknown[0]
            self.session.work(self, self._read_fingerprint, corpus, then=self._take_fingerprint, group="language")

    def _read_fingerprint(self, corpus: CorpusSpec) -> tuple[CorpusSpec, str, str]:
        from shrunk_core.engine.preview import fingerprint
        from shrunk_core.errors import ShrunkError

        try:
            return corpus, fingerprint(self.session.lab, corpus), ""
        except (ShrunkError, OSError) as problem:
            return corpus, "", str(problem)

    def _take_fingerprint(self, found: tuple[CorpusSpec, str, str]) -> None:
        corpus, fingerprint, problem = found
        if problem:
            self._trouble[corpus] = problem
        else:
            self._fingerprints[corpus] = fingerprint
        self._look()

    def _tell(self) -> None:
        """The line of totals, or what is wrong."""
        line = self.query_one("#design-totals", Static)
        if self.preview is None:
            return
        trouble = next(
            (self._trouble[r.point.corpus] for r in self.preview.runs if r.point.corpus in self._trouble), ""
        )
        line.set_class(bool(self.preview.problem), "-error")
        if self.preview.problem:
            line.update(self.preview.problem)
            return
        text = totals(self.preview, self.rows, self.counting, self._slots)
        line.update(text + (f"\nWhat exists cannot be told: {trouble}" if trouble else ""))

    @on(PlainTable.Moved)
    def _about(self) -> None:
        """More about the run under the cursor than its line says."""
        about = self.query_one("#design-about", Static)
        if not self.preview or self.table.cursor >= len(self.preview.runs):
            about.update("")
            return
        run, row = self.preview.runs[self.table.cursor], self.rows[self.table.cursor]
        model = run.point.model
        shape = (
            f"E {model.embedding_size}  H {model.hidden_size}  I {model.intermediate_size}  A {model.num_heads}  "
            f"L {model.num_layers}  V {model.vocab_size:,}  seed {run.point.seed}"
        )
        about.update(f"{shape}\n{run.problem}" if run.problem else f"{shape}  {row['run_id']}")
        self._draw()

    def _draw(self) -> None:
        """The planned runs in parameters x FLOPs, so that gaps show."""
        if not self.query("#design-chart"):
            from ..widgets.live_chart import LiveChart

            self.query_one("#design-right").mount(LiveChart(ascii_only=self.session.ascii, id="design-chart"))
            self.call_after_refresh(self._draw)
            return
        from ..design_scatter import scatter
        from ..widgets.live_chart import LiveChart

        self.query_one(LiveChart).show(scatter(self.rows, self.table.cursor, self.counting))

    def action_counting(self) -> None:
        """FLOPs by the next counting; `paper` and `executed` always stand side by side."""
        at = COUNTINGS.index(self.counting) if self.counting in COUNTINGS else 0
        self.counting = COUNTINGS[(at + 1) % len(COUNTINGS)]
        self.session.state.set("design.counting", self.counting)
        self._look()

    # ------------------------------------------------------------------ layout

    def on_resize(self, event: Resize) -> None:
        self._fold(event.size.width, event.size.height)

    def _fold(self, width: int, height: int) -> None:
        self.set_class(width < WIDE, "-narrow")
        self.set_class(height < HIGH or width < WIDE, "-low")
        for view in ("form", "table", "chart"):
            self.set_class(self._view == view, f"-{view}")

    def action_view(self) -> None:
        """Form, table, scatter: the next one to the front where not all have room."""
        views = ("form", "table", "chart")
        self._view = views[(views.index(self._view) + 1) % len(views)]
        self._fold(self.size.width, self.size.height)
        self._focus()
        self.call_after_refresh(self._draw)


def _worked_out(
    document: GridDocument, statuses: dict[str, str], known: dict[CorpusSpec, str], lab: Path, counting: str
) -> tuple[Preview, list[dict[str, Any]]]:
    """In a thread: the preview and its rows."""
    from shrunk_core.engine.machine import read_machine
    from shrunk_core.engine.preview import preview

    found = preview(document, statuses, known, read_machine(lab))
    return found, found.rows(counting)
