"""A figure as a section shows it."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from analysis.figures import svg


@dataclass(frozen=True)
class Picture:
    """A figure with its words."""

    source: str  # an SVG element, or the data URL of a PNG
    alt: str  # what it shows, in a line
    caption: str = ""
    width: float = 0.0  # inches, as drawn

    @property
    def is_svg(self) -> bool:
        return self.source.startswith("<svg")


def picture(figure: Figure, alt: str, caption: str = "") -> Picture:
    """An SVG that takes the page's ink."""
    return Picture(svg(figure), alt, caption, float(figure.get_figwidth()))
