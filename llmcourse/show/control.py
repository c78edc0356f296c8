"""Controls: a picture that is computed anew when a slider or a menu is moved."""

from collections.abc import Callable

from ipywidgets import HTML, HBox, Layout, VBox, Widget

from .picture import Picture


class Controlled:
    """Widgets above a picture. Where no kernel runs, the picture alone.

    A page that is only read shows the picture of the widgets' first values: a slider
    that nothing answers would mislead.
    """

    def __init__(self, make: Callable[..., Picture], widgets: dict[str, Widget]):
        self.make, self.widgets = make, widgets
        self.picture = self._made()
        self.view = HTML(self.picture._repr_html_())
        wrapped = Layout(flex_flow="row wrap")
        self.box = VBox([HBox(list(widgets.values()), layout=wrapped), self.view])
        for widget in widgets.values():
            widget.observe(self._update, names="value")

    def _made(self) -> Picture:
        return self.make(**{name: w.value for name, w in self.widgets.items()})

    def _update(self, _change: dict) -> None:
        self.picture = self._made()
        self.view.value = self.picture._repr_html_()

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        live = self.box._repr_mimebundle_(include=include, exclude=exclude)
        return live | {
            "text/html": self.picture._repr_html_(),
            "text/plain": repr(self.picture),
        }


def control(make: Callable[..., Picture], **widgets: Widget) -> Controlled:
    """A picture, with a widget for each argument of `make`, the function that draws it.

    make is called with the widgets' values: at once, and whenever one of them changes.
    For example `control(draw, layer=IntSlider(max=5, description="layer"))`.
    """
    if not widgets:
        raise ValueError("a control needs at least 1 widget, got 0")
    return Controlled(make, widgets)
