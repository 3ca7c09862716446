"""The heavy process beside the screens is one for all stories, as one session of the UI has one: it starts once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shrunk_tui import aside


class Shared(aside.Aside):
    """Outlives the sessions that use it."""

    def close(self) -> None:
        """Nothing: the last one to use it ends it."""


@pytest.fixture(scope="session", autouse=True)
def one_aside() -> Iterator[None]:
    shared = Shared()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aside, "Aside", lambda: shared)
        yield
    aside.Aside.close(shared)
