"""A chart that changes: zoom, pan and crosshair by keys and mouse; only cells that changed are sent to the terminal."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ..marks import colour_of

if TYPE_CHECKING:  # numpy is imported when the first chart is drawn, after the first frame
    from ..picture import Cache, Picture, Scene

IN_A_THREAD = 300_000
"""A drawing of more points than this is made in a thread: it would hold up a key for more than a blink."""


class LiveChart(Widget, can_focus=True):
    """Shows a `Scene`. `show(scene)` draws it; the view (zoom, crosshair) is the chart's own and survives new data."""

    BINDINGS: ClassVar[list[Binding]] = [  # type: ignore[assignment]
        Binding("left", "move(-1)", "Crosshair", show=False),
        Binding("right", "move(1)", "Crosshair", show=False),
        Binding("shift+left", "move(-10)", "Crosshair, ten columns", show=False),
        Binding("shift+right", "move(10)", "Crosshair, ten columns", show=False),
        Binding("plus,equals_sign", "zoom(0.6)", "Zoom in", key_display="+"),
        Binding("minus", "zoom(1.6667)", "Zoom out", key_display="-"),
        Binding("less_than_sign,comma", "pan(-0.2)", "Pan left", show=False, key_display="<"),
        Binding("greater_than_sign,full_stop", "pan(0.2)", "Pan right", show=False, key_display=">"),
        Binding("right_curly_bracket", "zoom_y(0.6)", "Zoom in, y", show=False, key_display="}"),
        Binding("left_curly_bracket", "zoom_y(1.6667)", "Zoom out, y", show=False, key_display="{"),
        Binding("up", "pan_y(0.1)", "Pan up", show=False),
        Binding("down", "pan_y(-0.1)", "Pan down", show=False),
        Binding("0,home", "whole", "Show all", key_display="0"),
    ]
    DEFAULT_CSS = """
    LiveChart { width: 1fr; height: 1fr; min-height: 6; border: round $panel; }
    LiveChart:focus { border: round $primary; }
    """

    class ViewChanged(Message):
        """Zoom or crosshair changed."""

        def __init__(self, chart: LiveChart) -> None:
            super().__init__()
            self.chart = chart

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self.ascii = ascii_only
        self.scene: Scene | None = None
        self.picture: Picture | None = None
        self.drawn = 0
        """How many pictures were made; for tests and benchmarks."""
        self._cache: Cache | None = None
        self._strips: dict[int, Strip] = {}
        self._busy = False
        self._again = False
        self._dragged: tuple[int, tuple[float, float]] | None = None

    # ------------------------------------------------------------------ drawing

    def show(self, scene: Scene) -> None:
        """Draw a scene in the view that the chart has; zoom and cursor of the scene itself are not looked at."""
        if self.scene is not None:
            same = (scene.log_x, scene.log_y) == (self.scene.log_x, self.scene.log_y)
            view = self.scene
            scene = replace(
                scene,
                zoom_x=view.zoom_x if scene.log_x == view.log_x else None,
                zoom_y=view.zoom_y if same else None,
                cursor=view.cursor if scene.log_x == view.log_x else None,
            )
        self.scene = replace(scene, ascii=self.ascii)
        self._draw()

    def _change(self, **view: object) -> None:
        if self.scene is not None:
            self.scene = replace(self.scene, **view)  # type: ignore[arg-type]
            self._draw()
            self.post_message(self.ViewChanged(self))

    def _draw(self) -> None:
        if self.scene is None or not self.size.width or not self.is_on_screen:
            return
        from ..picture import Cache, compose

        if self._busy:  # the drawing in the thread is of an older scene: once more when it is done
            self._again = True
            return
        self._cache = self._cache or Cache()
        scene, width, height, cache = self.scene, self.size.width, self.size.height, self._cache
        if sum(len(line.x) for line in scene.lines) <= IN_A_THREAD:
            self._take(compose(scene, width, height, cache))
            return
        self._busy = True

        def body() -> None:
            picture = compose(scene, width, height, cache)
            self.call_later(self._take, picture)

        self.run_worker(body, thread=True, group="chart", exit_on_error=True)

    @property
    def is_on_screen(self) -> bool:
        """False for a chart on a tab in the back: nothing off screen is drawn."""
        return self.is_attached and all(node.display for node in self.ancestors_with_self if isinstance(node, Widget))

    def _take(self, picture: Picture) -> None:
        """Show a picture: mark as dirty the cells that differ from what is shown, and no others."""
        self._busy = False
        before, self.picture = self.picture, picture
        self.drawn += 1
        if before is None or before.codes.shape != picture.codes.shape:
            self._strips.clear()
            self.refresh()
        else:
            changed = (before.codes != picture.codes) | (before.styles != picture.styles)
            for y in changed.any(axis=1).nonzero()[0].tolist():
                columns = changed[y].nonzero()[0]
                self._strips.pop(y, None)
                first, last = int(columns[0]), int(columns[-1])
                self.refresh(Region(first, y, last - first + 1, 1))
        if self._again:
            self._again = False
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_show(self) -> None:
        self._draw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        picture = self.picture
        if picture is None or y >= picture.codes.shape[0]:
            return Strip.blank(width, self.rich_style)
        if y not in self._strips:
            self._strips[y] = self._strip(picture, y)
        return self._strips[y].adjust_cell_length(width, self.rich_style)

    def _strip(self, picture: Picture, y: int) -> Strip:
        codes, styles = picture.codes[y], picture.styles[y]
        text = "".join(map(chr, codes.tolist()))
        breaks = [0, *((styles[1:] != styles[:-1]).nonzero()[0] + 1).tolist(), len(text)]
        base, dark = self.rich_style, self.app.current_theme.dark
        return Strip(
            [
                Segment(text[a:b], base + style_of(int(styles[a]), dark))
                for a, b in zip(breaks[:-1], breaks[1:], strict=True)
                if b > a
            ],
            len(text),
        )

    # ------------------------------------------------------------------ keys

    def action_move(self, by: int) -> None:
        """Move the crosshair; it appears at the right end."""
        picture = self.picture
        if self.scene is None or picture is None or picture.window is None:
            return
        step = (picture.window.right - picture.window.left) / max(1, picture.width - 1)
        cursor = self.scene.cursor
        cursor = picture.window.right if cursor is None else cursor + by * step
        self._change(cursor=min(max(cursor, picture.window.left), picture.window.right))

    def action_zoom(self, factor: float) -> None:
        """Zoom in x around the crosshair, or around the right end, where a run learns now."""
        picture = self.picture
        if self.scene is None or picture is None or picture.window is None:
            return
        window = picture.window
        centre = self.scene.cursor
        if centre is None or not window.left <= centre <= window.right:
            centre = window.right
        self._zoom_to(centre + (window.left - centre) * factor, centre + (window.right - centre) * factor)

    def _zoom_to(self, left: float, right: float) -> None:
        whole = self._whole_x()
        if whole is None or right - left < (whole[1] - whole[0]) * 1e-6:
            return
        if right - left >= (whole[1] - whole[0]) * 0.999:
            self._change(zoom_x=None)
        else:
            shift = max(0.0, whole[0] - left) - max(0.0, right - whole[1])
            self._change(zoom_x=(left + shift, right + shift))

    def _whole_x(self) -> tuple[float, float] | None:
        from ..picture import extent_of

        return extent_of(self.scene) if self.scene is not None else None

    def action_pan(self, share: float) -> None:
        if self.picture is not None and self.picture.window is not None:
            window = self.picture.window
            by = (window.right - window.left) * share
            self._zoom_to(window.left + by, window.right + by)

    def action_zoom_y(self, factor: float) -> None:
        if self.picture is not None and self.picture.window is not None:
            window = self.picture.window
            middle, half = (window.top + window.bottom) / 2, (window.top - window.bottom) / 2 * factor
            self._change(zoom_y=(middle - half, middle + half))

    def action_pan_y(self, share: float) -> None:
        if self.picture is not None and self.picture.window is not None:
            window = self.picture.window
            by = (window.top - window.bottom) * share
            self._change(zoom_y=(window.bottom + by, window.top + by))

    def action_whole(self) -> None:
        self._change(zoom_x=None, zoom_y=None, cursor=None)

    # ------------------------------------------------------------------ mouse

    def _place(self, event: events.MouseEvent) -> float | None:
        """x in drawn scale under the pointer, None outside of the plot."""
        at, picture = event.get_content_offset(self), self.picture
        if at is None or picture is None or picture.window is None:
            return None
        column = at.x - picture.left
        if not 0 <= column < picture.width or not picture.top <= at.y < picture.top + picture.height:
            return None
        window = picture.window
        return window.left + (window.right - window.left) * column / max(1, picture.width - 1)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        picture = self.picture
        if self._dragged is not None and picture is not None and picture.window is not None:
            began, (left, right) = self._dragged
            by = (began - event.x) / max(1, picture.width - 1) * (right - left)
            self._zoom_to(left + by, right + by)
            return
        place = self._place(event)
        if place is not None and self.scene is not None and place != self.scene.cursor:
            self._change(cursor=place)

    def on_leave(self) -> None:
        if self.scene is not None and self.scene.cursor is not None and not self.has_focus:
            self._change(cursor=None)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if self.picture is not None and self.picture.window is not None and self._place(event) is not None:
            self._dragged = (event.x, (self.picture.window.left, self.picture.window.right))
            self.capture_mouse()

    def on_mouse_up(self) -> None:
        if self._dragged is not None:
            self._dragged = None
            self.release_mouse()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 0.8)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, 1.25)

    def _wheel(self, event: events.MouseEvent, factor: float) -> None:
        place, picture = self._place(event), self.picture
        if place is None or picture is None or picture.window is None:
            return
        event.stop()
        if event.ctrl or event.shift:
            self.action_zoom_y(factor)
            return
        window = picture.window
        self._zoom_to(place + (window.left - place) * factor, place + (window.right - place) * factor)


@lru_cache(maxsize=512)
def style_of(number: int, dark: bool) -> Style:
    """The look of a cell of a picture, laid over the widget's own colours."""
    from ..picture import AXIS, CURSOR, FIRST_MARK, KINDS, RULE, TITLE

    if number >= FIRST_MARK:
        mark, kind = divmod(number - FIRST_MARK, KINDS)
        colour = Color.from_rgb(*colour_of(mark, dark))
        return Style(color=colour, bold=kind == 1 or None, dim=kind == 2 or None)
    return {AXIS: Style(dim=True), TITLE: Style(bold=True), CURSOR: Style(dim=True), RULE: Style(dim=True)}.get(
        number, Style.null()
    )
