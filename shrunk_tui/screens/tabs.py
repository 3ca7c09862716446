"""Which tabs there are. A tab's module is imported when it is first shown."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from .pane import Pane


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One tab: its name in code and state, its key, its title, and `module:class` below this package."""

    name: str
    key: str
    title: str
    place: str

    def load(self) -> type[Pane]:
        module, cls = self.place.split(":")
        return getattr(importlib.import_module(f"shrunk_tui.screens.{module}"), cls)


TABS: tuple[Tab, ...] = (
    Tab(name="runs", key="1", title="Runs", place="runs:RunsPane"),
    Tab(name="design", key="2", title="Design", place="design:DesignPane"),
    Tab(name="run", key="3", title="Run", place="run:RunPane"),
    Tab(name="scaling", key="4", title="Scaling", place="scaling:ScalingPane"),
    Tab(name="tasks", key="5", title="Tasks", place="tasks:TasksPane"),
    Tab(name="sql", key="6", title="SQL", place="sql:SqlPane"),
    Tab(name="system", key="7", title="System", place="system:SystemPane"),
)
BY_NAME = {tab.name: tab for tab in TABS}
