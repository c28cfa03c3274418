"""Figures as files and as parts of a page: SVG that takes the page's ink, PNG on white."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from analysis.errors import ResultsError
from analysis.files import whole_file
from analysis.ink import INK

_SCREEN = 96  # pixels per inch
SUFFIXES = (".svg", ".png", ".csv")
_SVG: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "analysis"}  # the page's font; same figure, same bytes
_LIGHT_AND_DARK = f"<style>svg{{color:{INK}}}@media(prefers-color-scheme:dark){{svg{{color:#e6e8ea}}}}</style>"


def svg(figure: Figure) -> str:
    """The figure as an SVG element for an HTML page, without ids, links or a fixed ink."""
    buffer = io.StringIO()
    with rc_context(_SVG):
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z2.]+_\d+"', "", text)
    # a hundredth of a point is finer than any screen, and half of the bytes
    text = re.sub(r"\d+\.\d{3,}(?=[ \n\",)])", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), text)
    # a text without a fill of its own is black on any page
    text = re.sub(r'(<text style=")(?![^"]*fill:)', r"\1fill: currentColor; ", text)
    return text.replace(INK, "currentColor")


def png(figure: Figure, dpi: int = 2 * _SCREEN) -> str:
    """The figure as a data URL of a PNG on white, by default at twice the screen's resolution."""
    return "data:image/png;base64," + base64.b64encode(_png(figure, dpi)).decode()


def save(figure: Figure, frame: pd.DataFrame, path: Path) -> None:
    """Write a figure as .svg or .png, or the frame behind it as .csv, whole or not at all."""
    suffix = require_suffix(path)
    with whole_file(path) as temporary:
        if suffix == ".svg":
            element = svg(figure)
            end = element.index(">") + 1
            temporary.write_text(element[:end] + _LIGHT_AND_DARK + element[end:], encoding="utf-8")
        elif suffix == ".png":
            temporary.write_bytes(_png(figure))
        else:
            frame.to_csv(temporary, index=False)


def require_suffix(path: Path) -> str:
    """The suffix of a figure's file, one of SUFFIXES; another is a ResultsError."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ResultsError(f"{path}: a figure is written as {' or '.join(SUFFIXES[:2])} or, its numbers, as .csv")
    return suffix


def _png(figure: Figure, dpi: int = 2 * _SCREEN) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, facecolor="white")
    return buffer.getvalue()
