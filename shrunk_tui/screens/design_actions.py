"""What the Design screen does with a grid: open, save, pick a language, find iso shapes, start."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..design_form import totals, typed_value
from ..widgets.setting_list import SettingList
from .asking import AskText, Choose, Confirm
from .pane import Pane

if TYPE_CHECKING:
    from shrunk_core.config.document import GridDocument
    from shrunk_core.engine.preview import Preview


class DesignActions(Pane):
    """The half of the Design screen that asks and acts; the other half, `design.DesignPane`, shows."""

    document: GridDocument
    preview: Preview | None
    rows: list[dict[str, Any]]
    counting: str
    _saved: str
    _slots: int

    @property
    def form(self) -> SettingList:
        return self.query_one(SettingList)

    @property
    def is_dirty(self) -> bool:
        """True if the file does not say what the form says."""
        return self.document.text() != self._saved

    def change(self, document: GridDocument) -> None:
        """Another document in the form; undo goes back."""
        raise NotImplementedError

    def take(self, document: GridDocument) -> None:
        """The same document, saved elsewhere or with another name: nothing to undo."""
        raise NotImplementedError

    def place(self, name: str) -> Path:
        """Where a grid of this name is written unless somebody says otherwise."""
        return self.session.lab / "grids" / f"{name}.toml"

    # ------------------------------------------------------------------ files

    def action_new(self) -> None:
        from shrunk_core.config.document import new_document

        def named(name: str | None) -> None:
            if name and name.strip():
                self._saved = ""
                self.change(new_document(self.place(name.strip().replace("/", "-"))))

        self.app.push_screen(AskText("Name of the new grid", "", "It begins as the demo's recipe; u goes back."), named)

    def action_open(self) -> None:
        from ..grid_files import known_grids

        self.session.work(
            self, known_grids, self.session.lab, dict(self.session.grids), then=self._choose, group="files"
        )

    def _choose(self, found: list[Any]) -> None:
        if not found:
            self.app.notify("No grid files in the lab, in its grids/ or here.")
            return
        choices = [(str(i), f"{grid.name}  {grid.where}") for i, grid in enumerate(found)]

        def chosen(number: str | None) -> None:
            if number is not None:
                grid = found[int(number)]
                self._saved = grid.document.text() if grid.is_file else ""
                self.change(grid.document)

        self.app.push_screen(Choose("Open a grid", choices), chosen)

    def action_save(self) -> None:
        """Ask where, then write the file."""
        if self.refuse_write("save a grid"):
            return
        hint = "The strict TOML that `shrunk run` reads." + (
            "" if not self.document.path.exists() else " The file is there and is written over."
        )
        self.app.push_screen(AskText("Save the grid as", str(self.document.path), hint), self._save_as)

    def _save_as(self, name: str | None) -> None:
        if not name:
            return
        path = Path(name).expanduser()
        path = (path if path.is_absolute() else self.session.lab / path).with_suffix(".toml")
        document = self.document.moved(path)

        def told(_: object) -> None:
            self._saved = document.text()
            self.take(document)
            self.app.notify(f"Saved {path}. Without the screen: shrunk run {path.name}", markup=False)

        self.session.work(self, _write, document, then=told, group="files")

    # ------------------------------------------------------------------ pickers

    def action_language(self) -> None:
        """Choose one of the languages that this lab has built."""
        from ..grid_files import known_languages

        self.session.work(self, known_languages, self.session.lab, then=self._choose_language, group="files")

    def _choose_language(self, found: list[Any]) -> None:
        def chosen(number: str | None) -> None:
            if number is not None:
                self.change(found[int(number)].put_into(self.document))

        choices = [(str(i), language.words) for i, language in enumerate(found)]
        self.app.push_screen(Choose("A language: sources, vocabulary, what was kept", choices), chosen)

    def action_tokenizer(self) -> None:
        """Choose a tokenizer's size: those of this lab, and usual ones."""
        from ..grid_files import known_tokenizers

        self.session.work(self, known_tokenizers, self.session.lab, then=self._choose_tokenizer, group="files")

    def _choose_tokenizer(self, found: list[tuple[int, str]]) -> None:
        def chosen(size: str | None) -> None:
            if size is not None:
                self.change(self.document.typed("tokenizer.vocab_size", size))

        now = typed_value(self.document, "tokenizer.vocab_size")
        choices = [(str(size), f"{size:>7,}  {words}") for size, words in found]
        self.app.push_screen(Choose("Entries of the tokenizer", choices, now), chosen)

    def action_iso(self) -> None:
        """Shapes of one size or one price, put into the grid as values that vary together."""
        from .iso import IsoScreen

        if self.preview is None or not self.preview.runs:
            self.app.notify("The grid has no run to start from yet; see the line at the bottom.", severity="warning")
            return

        def found(document: GridDocument | None) -> None:
            if document is not None:
                self.change(document)

        self.app.push_screen(IsoScreen(self.document, self.preview, self.counting), found)

    # ------------------------------------------------------------------ starting

    def action_start(self) -> None:
        """Save the grid and hand it to the lab's supervisor."""
        if self.refuse_write("start a grid"):
            return
        preview = self.preview
        if preview is None or preview.problem or preview.impossible:
            why = preview.problem if preview and preview.problem else "impossible runs are in it; mend or exclude them"
            self.app.notify(f"It cannot start: {why}", severity="error", timeout=10, markup=False)
            return

        def confirmed(yes: bool | None) -> None:
            if yes:
                self.form.say("handing the grid over ...")
                self.session.work(
                    self, self._hand_over, self.document, then=self._started, failed=self._not_started, group="start"
                )

        words = totals(preview, self.rows, self.counting, self._slots)
        saved = f"\nThe grid is saved as {self.document.path}." if self.is_dirty else ""
        self.app.push_screen(
            Confirm(f"Start {self.document.name}?", f"{words}.{saved}\nIt trains on when this screen is closed."),
            confirmed,
        )

    def _hand_over(self, document: GridDocument) -> tuple[GridDocument, dict[str, Any]]:
        """In a thread: save, plan, submit."""
        from shrunk_core.config.grid import load_grid
        from shrunk_core.engine.client import submit
        from shrunk_core.engine.plan import make_plan

        _write(document)
        return document, submit(self.session.lab, make_plan(self.session.lab, load_grid(document.path)))

    def _started(self, found: tuple[GridDocument, dict[str, Any]]) -> None:
        document, reply = found
        self._saved = document.text()
        self.take(document)
        self.form.say("")
        queued = len(reply["queued"])
        there = len(reply["run_ids"]) - queued
        self.app.notify(f"{document.name}: {queued} runs to train, {there} there already.", markup=False)
        self.session.look_now()
        self.app.call_later(partial(self.app.go, "runs"))  # type: ignore[attr-defined]

    def _not_started(self, problem: Exception) -> None:
        self.form.say(str(problem), error=True)
        self.app.notify(str(problem), severity="error", timeout=12, markup=False)


def _write(document: GridDocument) -> None:
    from shrunk_core.record.rundir import write_atomically

    write_atomically(document.path, document.text())
