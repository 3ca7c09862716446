"""A line across the top for what is wrong with the lab as a whole, and what to do about it."""

from __future__ import annotations

from textual.widgets import Static


class Banner(Static):
    """Hidden while there is nothing to say. Several causes may speak; each is named, so that it can take its word back."""

    DEFAULT_CSS = """
    Banner { height: auto; max-height: 4; width: 1fr; padding: 0 1; background: $warning-muted;
             color: $text-warning; text-style: bold; display: none; }
    Banner.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__("", id="banner", markup=False)
        self.words: dict[str, str] = {}

    def say(self, cause: str, text: str) -> None:
        """Show `text` for a cause; an empty text takes it back."""
        before = dict(self.words)
        self.words.pop(cause, None)
        if text:
            self.words[cause] = text
        if self.words != before:
            self.update("\n".join(f"! {word}" for word in self.words.values()))
            self.set_class(bool(self.words), "-shown")
