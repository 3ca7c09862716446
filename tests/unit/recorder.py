"""A launcher that starts nothing, for supervisors under test."""

from __future__ import annotations

from shrunk_core.record.rundir import this_process


class Recorder:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, module: str, arguments: list[str], **other: object) -> Recorder.Running:
        self.started.append(arguments[0])
        return Recorder.Running()

    def ready(self) -> bool:
        return True

    class Running:
        """A child that never ends."""

        pid = 1
        process = this_process()

        def poll(self) -> None:
            return None

        def signal(self, number: int) -> None:
            pass
