"""Images: beside their MMD curve (Fig. 2), and real and generated ones by channel (Fig. 6)."""

from typing import Any

from analysis import figures
from analysis.figures.catalogue import CATALOGUE, SHOWN, image_sheet
from analysis.findings import Findings
from analysis.sections.pictures import Picture, picture

MOST = 6  # cells with images in the report: they are most of its bytes
DPI = 120  # two dots a pixel


def values(findings: Findings) -> dict[str, Any]:
    cells = findings.results.cells
    grids = [_grid(findings, cell) for cell in cells[:MOST]]
    curve = None
    if any(grid["picture"] for grid in grids):
        curve = picture(CATALOGUE["mmd-images"].draw(findings).figure, "MMD against epoch with images")
    return {"grids": grids, "curve": curve, "left_out": cells[MOST:]}


def _grid(findings: Findings, cell: str) -> dict[str, Any]:
    sheet = image_sheet(findings.results, cell)
    if sheet is None:
        return {"cell": cell, "picture": None}
    first = sheet.frame.iloc[0]
    replicate, epoch = first["replicate"], first["epoch"]
    caption = f"Replicate {replicate}, epoch {epoch}, images 0 to {SHOWN - 1} of each arm, not picked."
    planned = [each for each in findings.plan.trials if each.cell_name == cell and each.replicate == replicate]
    if missing := [each.arm for each in planned if each.arm not in set(sheet.frame["arm"])]:
        caption += f" No images yet of {', '.join(missing)}."
    alt = f"Real and generated images by channel, {cell}"
    return {"cell": cell, "picture": Picture(figures.png(sheet.figure, DPI), alt, caption)}
