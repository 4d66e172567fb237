"""Charts as SVG: one panel each, the same bytes for the same numbers, readable without colours."""

import re
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING

from engine.analysis.charts import STYLE
from engine.analysis.drawing import local_tick_labels
from engine.report.blocks import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES = (8.0, 4.4)
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def svg_chart(
    name: str, title: str, draw: "Callable[[Axes], None]", inches: tuple[float, float] = _INCHES
) -> Chart:
    """Draw one panel.

    Args:
        name: of its file; the identifiers in the picture are made from it, so that several fit into one page.
        title: what it shows, in a sentence.
        draw: fills the panel.
        inches: width and height.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    written = StringIO()
    with rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": name}):
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots())
        local_tick_labels(figure)
        figure.savefig(written, format="svg", metadata=_NO_METADATA)
    return Chart(name, title, _element(written.getvalue()))


def _element(document: str) -> str:
    """Return the `<svg>` element alone: without the declarations, which HTML does not have."""
    return re.sub(r"\A.*?(?=<svg )", "", document, flags=re.DOTALL).rstrip() + "\n"
