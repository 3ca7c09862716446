"""Which number, and so which colour and sign, a run has: the same every day and on every screen."""

from __future__ import annotations

from collections.abc import Iterable

from .state import ViewState


class MarkBook:
    """Gives out numbers in the order in which runs are first drawn, and remembers them with the view of the lab."""

    def __init__(self, state: ViewState) -> None:
        self._state = state
        self._numbers: dict[str, int] = {
            k: v for k, v in state.get("marks", {}).items() if isinstance(k, str) and isinstance(v, int)
        }

    def numbers(self, run_ids: Iterable[str]) -> dict[str, int]:
        """The numbers of these runs. A new run takes the lowest number that no other of them has."""
        wanted = list(run_ids)
        fresh = [r for r in wanted if r not in self._numbers]
        if fresh:
            used = {self._numbers[r] for r in wanted if r in self._numbers}
            free = (n for n in range(1 << 30) if n not in used)
            for run_id in fresh:
                self._numbers[run_id] = next(free)
            self._state.set("marks", dict(self._numbers))
        return {r: self._numbers[r] for r in wanted}
