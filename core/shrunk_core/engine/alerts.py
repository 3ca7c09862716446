"""What a person should look at, noticed while runs train: rules over what the logs say, each stated where it is used."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from ..config.lab import LabSettings
from ..record.events import Event, Failed, Finished, Resumed, Started, Step
from ..record.lab_events import Alert, AlertEnded

WINDOW = 50
"""Updates in each of the two windows whose mean training losses are compared."""


@dataclass
class _Curve:
    """What is remembered of one run: its last losses, the lowest window so far, when it was last heard, its speed."""

    losses: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    lowest: float = math.inf
    heard_at: float = 0.0
    speed: float = 0.0


class Alerts:
    """Turns events and the clock into alerts. `news()` and `look()` return what has to be logged, each alert once."""

    def __init__(self, settings: LabSettings) -> None:
        self.settings = settings
        self.open: dict[tuple[str, str], Alert] = {}
        self._curves: dict[str, _Curve] = {}

    def news(self, run_id: str, event: Event) -> list[Event]:
        """Alerts that one event of a run's log gives rise to, or ends.

        Divergence: the mean training loss of the last 50 updates lies more than `divergence_rise` nats above the lowest
        such mean of this run. It is over when half of that rise is left, so that a loss about the limit is told once.
        """
        curve = self._curves.setdefault(run_id, _Curve())
        curve.heard_at = event.logged_at
        out = self._end("stall", run_id)
        match event:
            case Step():
                curve.speed = event.tokens_per_second
                curve.losses.append(event.loss)
                if len(curve.losses) == WINDOW and math.isfinite(event.loss):
                    mean = sum(curve.losses) / WINDOW
                    curve.lowest = min(curve.lowest, mean)
                    if mean > curve.lowest + self.settings.divergence_rise:
                        message = (
                            f"update {event.update}: mean training loss of {WINDOW} updates is {mean:.3f}, "
                            f"{mean - curve.lowest:.3f} nats above its lowest"
                        )
                        out += self._raise(
                            Alert(alert="divergence", severity="warning", run_id=run_id, message=message)
                        )
                    elif mean < curve.lowest + self.settings.divergence_rise / 2:
                        out += self._end("divergence", run_id)
            case Started() | Resumed():
                self._curves[run_id] = _Curve(heard_at=event.logged_at)
                for name in ("failed", "non-finite", "divergence", "slow"):
                    out += self._end(name, run_id)
            case Failed():
                name = "non-finite" if event.cause == "non-finite" else "failed"
                out += self._raise(Alert(alert=name, severity="error", run_id=run_id, message=event.message))
            case Finished():
                message = f"finished: best validation loss {event.best_loss:.4f}"
                out.append(Alert(alert="run-finished", severity="info", run_id=run_id, message=message))
        return out

    def look(self, running: dict[str, float], now: float, disk_free: int | None) -> list[Event]:
        """Alerts that time gives rise to.

        running: run -> tokens per second that were expected of it, 0 when unknown. Stall: no event for `stall_minutes`, nor
        since this is asked of a run that has yet to speak. Slow: under `slow_share` of what was expected.
        """
        out: list[Event] = []
        self._curves = {run_id: self._curves.get(run_id) or _Curve(heard_at=now) for run_id in running}
        for run_id, expected in running.items():
            curve = self._curves[run_id]
            silent = now - curve.heard_at
            if silent > self.settings.stall_minutes * 60:
                message = f"no event for {silent / 60:.0f} minutes" if silent > 90 else f"no event for {silent:.0f} s"
                out += self._raise(Alert(alert="stall", severity="warning", run_id=run_id, message=message))
            if expected and curve.speed and len(curve.losses) == WINDOW:
                if curve.speed < self.settings.slow_share * expected:
                    message = f"{curve.speed:,.0f} tokens/s, where {expected:,.0f} were expected"
                    out += self._raise(Alert(alert="slow", severity="warning", run_id=run_id, message=message))
                else:
                    out += self._end("slow", run_id)
        for name, run_id in [key for key in self.open if key[1] and key[1] not in running]:
            if name in ("stall", "slow", "divergence"):
                out += self._end(name, run_id)
        low = self.settings.disk_gigabytes * 1e9
        if disk_free is not None:
            if disk_free < low:
                message = f"{disk_free / 1e9:.2f} GB are left on the lab's disk; `shrunk gc` frees what nobody needs"
                out += self._raise(Alert(alert="disk", severity="warning", message=message))
            elif disk_free > 1.2 * low:
                out += self._end("disk", "")
        return out

    def unwritable(self, why: str) -> list[Event]:
        """The lab cannot be written, so nothing goes on: `why` says what stands against it; "" when it can be again."""
        if not why:
            return self._end("unwritable", "")
        message = f"the lab cannot be written ({why}): nothing starts until it can"
        return self._raise(Alert(alert="unwritable", severity="error", message=message))

    def quota(self, gigabytes: float, too_much: int) -> list[Event]:
        """Checkpoints hold so many bytes more than the lab's quota, although all that may go has gone."""
        if not too_much:
            return self._end("quota", "")
        message = (
            f"checkpoints hold {too_much / 1e9:.2f} GB more than checkpoint_gigabytes = {gigabytes:g}: what is left are the "
            "last good ones of unfinished runs and the best of finished ones (`shrunk gc --best` takes these)"
        )
        return self._raise(Alert(alert="quota", severity="warning", message=message))

    def no_room(self, why: str) -> list[Event]:
        """Runs wait and none works, because no device takes one: `why` says what stands against each; "" when they do."""
        if not why:
            return self._end("no-room", "")
        return self._raise(Alert(alert="no-room", severity="warning", message=f"runs wait for a device: {why}"))

    def _raise(self, alert: Alert) -> list[Event]:
        key = alert.alert, alert.run_id
        if key in self.open:
            return []
        self.open[key] = alert
        return [alert]

    def _end(self, name: str, run_id: str) -> list[Event]:
        if self.open.pop((name, run_id), None) is None:
            return []
        return [AlertEnded(alert=name, run_id=run_id)]
