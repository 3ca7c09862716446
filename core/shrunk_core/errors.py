"""Every error a user can meet. One place (`shrunk_tui.cli.start.main`) prints them; `exit_code` is the process's answer.

A message says what was wrong, where, and what to do. `assert` is for our own mistakes, `ShrunkError` for everything
that a person's file, data, disk or command can cause.
"""

from __future__ import annotations


class ShrunkError(Exception):
    """Base of all errors that are reported as one message, without a traceback."""

    exit_code = 1


class ConfigError(ShrunkError):
    """A grid file, a lab setting or an argument is wrong; nothing has run."""

    exit_code = 2


class DataError(ShrunkError):
    """A source, a vocabulary or a corpus cannot be read or yields nothing."""


class PlanError(ShrunkError):
    """A grid is well formed but cannot be planned: impossible shapes, no runs left, unknown grid or run."""

    exit_code = 2


class RunError(ShrunkError):
    """A run failed: non-finite loss, out of memory, a broken checkpoint."""


class StoreError(ShrunkError):
    """The index or a query failed."""


class FitError(ShrunkError):
    """A fit, frontier, ICER or correlation refuses its input, with the reason."""


class BusyError(ShrunkError):
    """Somebody else holds what is needed; try again."""

    exit_code = 3
