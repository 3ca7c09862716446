"""What the SQL screen does with an answer and with queries that are kept: copy, write, save, find again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..format import several
from ..widgets.sql_editor import SqlEditor
from .asking import AskText, Choose
from .pane import Pane

if TYPE_CHECKING:
    from shrunk_core.store.question import Answer

PASTE_BYTES = 74_000
"""What terminals take in one OSC 52 sequence; more is for a file."""


class SqlActions(Pane):
    """The half of the SQL screen that takes answers along and keeps queries; `sql.SqlPane` asks and shows."""

    answer: Answer | None

    @property
    def editor(self) -> SqlEditor:
        return self.query_one(SqlEditor)

    # ------------------------------------------------------------------ taking it along

    def action_copy(self) -> None:
        """The selected cells to the clipboard of the terminal (OSC 52, which works over SSH)."""
        from ..widgets.answer_table import AnswerTable

        for table in self.query(AnswerTable):
            table.action_copy_selection()

    def on_data_table_selection_copied(self, event: Any) -> None:
        from ..widgets.answer_table import as_text

        self._copy(as_text(event.values), several(len(event.values), "row"))

    def action_copy_all(self) -> None:
        """The whole answer as tab-separated text with its header."""
        if self.answer is not None:
            from ..widgets.answer_table import as_text

            table = self.answer.table
            rows = zip(*(c.to_pylist() for c in table.slice(0, PASTE_BYTES).columns), strict=True)
            self._copy(as_text([tuple(table.column_names), *rows]), f"{table.num_rows:,} rows")

    def _copy(self, text: str, what: str) -> None:
        if len(text.encode()) > PASTE_BYTES:
            self.app.notify("That is more than terminals take at once; w writes it to a file.", severity="warning")
            return
        self.app.copy_to_clipboard(text)
        self.app.notify(f"Copied {what}.")

    def action_export(self) -> None:
        """Write the answer to a file."""
        if self.answer is None:
            self.app.notify("Run a query first; its answer is what is written.")
            return
        answer = self.answer
        start = Path.cwd() if self.session.read_only else self.session.lab / "exports"

        def named(text: str | None) -> None:
            if not text:
                return
            from shrunk_core.store.table_files import write_table

            path = Path(text).expanduser()
            path = path if path.is_absolute() else start / path
            if path.is_relative_to(self.session.lab) and self.refuse_write("write into the lab"):
                return

            def told(done: Path) -> None:
                self.app.notify(f"{answer.table.num_rows:,} rows in {done}", markup=False)

            self.session.work(self, write_table, answer.table, path, then=told, group="export")

        hint = f"A name starts from {start}. The ending says the format: .csv .parquet .json .md"
        self.app.push_screen(AskText("Write the answer to", "answer.csv", hint), named)

    # ------------------------------------------------------------------ kept queries

    def action_history(self) -> None:
        """Choose one of the queries asked before."""
        from shrunk_core.store.query_files import history

        self.session.work(self, history, self.session.lab, then=self._choose_asked, group="kept")

    def _choose_asked(self, asked: list[Any]) -> None:
        if not asked:
            self.app.notify("Nothing was asked in this lab yet.")
            return
        newest = list(reversed(asked))
        choices = [(a.text, f"{'failed' if a.rows is None else f'{a.rows:,}':>9}  {_one_line(a.text)}") for a in newest]
        self.app.push_screen(Choose("Asked before: rows, query", choices), self._put)

    def action_saved(self) -> None:
        """Choose a saved query."""
        from shrunk_core.store.query_files import saved_queries

        self.session.work(self, saved_queries, self.session.lab, then=self._choose_saved, group="kept")

    def _choose_saved(self, saved: list[Any]) -> None:
        if not saved:
            self.app.notify("No saved queries yet; f4 saves the one in the editor as a file in queries/.")
            return
        choices = [(s.text, f"{s.name}  {s.note or _one_line(s.text)}") for s in saved]
        self.app.push_screen(Choose("Saved queries", choices), self._put)

    def _put(self, text: str | None) -> None:
        if text is not None:
            self.editor.text = text.rstrip() + "\n"
            self.editor.focus()

    def action_save(self) -> None:
        """Save the query in the editor as a file."""
        if self.refuse_write("save a query"):
            return
        from shrunk_core.store.query_files import save_query

        def named(name: str | None) -> None:
            if name:
                lab, text = self.session.lab, self.editor.text
                self.session.work(self, save_query, lab, name, text, then=self._told_saved, group="kept")

        hint = "It becomes a file in queries/. A first line `-- what for` shows in the list."
        self.app.push_screen(AskText("Save the query as", "", hint), named)

    def _told_saved(self, path: Path) -> None:
        self.app.notify(f'Saved {path}. Without the screen: shrunk sql --saved "{path.stem}"', markup=False)


def _one_line(text: str) -> str:
    """A query as one short line, without its comments."""
    words = " ".join(line for line in text.splitlines() if not line.lstrip().startswith("--")).split()
    return " ".join(words)[:110]
