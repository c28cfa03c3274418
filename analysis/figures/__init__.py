"""Figures: every function takes frames and returns a matplotlib Figure; `catalogue` draws those of a study by name."""

from analysis.figures.cost import cost_figure
from analysis.figures.curves import QPU_WINDOW, arms_figure, image_figure, mmd_figure, qpu_figure, smooth
from analysis.figures.files import png, save, svg
from analysis.figures.gains import progress_figure, slices_figure
from analysis.figures.gradients import gradients_figure
from analysis.figures.improvement import forest_figure, improvement_figure
from analysis.figures.prior import entropy_figure
from analysis.figures.profile import profile_figure
from analysis.figures.style import POINTS, arm_colours, blank_figure
from analysis.figures.wins import wins_figure
from analysis.ink import INK

__all__ = [
    "INK",
    "POINTS",
    "QPU_WINDOW",
    "arm_colours",
    "arms_figure",
    "blank_figure",
    "cost_figure",
    "entropy_figure",
    "forest_figure",
    "gradients_figure",
    "image_figure",
    "improvement_figure",
    "mmd_figure",
    "png",
    "profile_figure",
    "progress_figure",
    "qpu_figure",
    "save",
    "slices_figure",
    "smooth",
    "svg",
    "wins_figure",
]
