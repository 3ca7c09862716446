"""Ctrl+P: everything that can be done now, by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from .screens.tabs import TABS
from .widgets.key_bar import shown_key

if TYPE_CHECKING:
    from .app import ShrunkApp


class ShrunkCommands(Provider):
    """Tabs, the actions of the pane in front with their keys, and the runs by name."""

    @property
    def shrunk(self) -> ShrunkApp:
        return cast("ShrunkApp", self.app)

    def entries(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        """Name, help and what it does."""
        for tab in TABS:
            yield f"Go to {tab.title}", f"key {tab.key}", partial(self.shrunk.go, tab.name)
        pane = self.shrunk.pane
        if pane is not None:
            for _, binding in pane._bindings:
                if binding.description:
                    run = partial(self.shrunk.run_action, binding.action, pane)
                    yield f"{pane.title}: {binding.description}", f"key {shown_key(binding.key)}", run

    def runs(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        for row in self.shrunk.session.rows.values() if self.shrunk.session else ():
            opened = partial(self.shrunk.go, "run", run_id=row.run_id)
            yield f"Open run {row.spec.name}", f"{row.spec.grid}, {row.run_id}, {row.status.status}", opened

    async def discover(self) -> Hits:
        for name, text, run in self.entries():
            yield DiscoveryHit(name, run, help=text)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, text, run in (*self.entries(), *self.runs()):
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), run, help=text)
