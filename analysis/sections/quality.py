"""Every full score of every arm and swapped prior beside its floor."""

from typing import Any

import numpy as np

from analysis import quality
from analysis.figures.catalogue import CATALOGUE
from analysis.findings import Findings
from analysis.sections.pictures import picture

SWAPS = ("fair", "marginals", "shuffled")  # priors that stand in for a trained one


def values(findings: Findings) -> dict[str, Any]:
    """Every full score of every arm and swapped prior beside its floor, at the last epoch that all arms have."""
    summary = findings.quality
    if summary.empty:
        return {"profile": None, "quality": []}
    tables = []
    for (cell, epoch), here in summary.groupby(["cell", "epoch"], sort=False):
        own, swaps = here[here["prior"] == quality.OWN], here[here["prior"] != quality.OWN]
        arms = [arm for arm in findings.plan.arms if (own["arm"] == arm).any()]
        values = own.set_index(["score", "arm"])["value"].to_dict()
        floors = own.groupby("score")["floor"].mean().to_dict()
        rows = [
            {"about": about, "floor": floors[name], "values": [values.get((name, arm), np.nan) for arm in arms]}
            for name, about in quality.QUALITY.items()
            if name in floors
        ]
        channels = findings.channels[str(cell)]
        means = channels.groupby(["channel", "arm"], sort=False)["value"].mean().to_dict()
        for name, floor in channels.groupby("channel", sort=False)["floor"].mean().items():
            about = {
                "label": f"MMD of {str(name).replace('_', ' ')}",
                "unit": "",
                "meaning": f"unbiased, of this channel alone; mean of the last {findings.plan.window} epochs",
            }
            rows.append({"about": about, "floor": floor, "values": [means.get((name, arm), np.nan) for arm in arms]})
        known = here[here["score"] == "mmd_u"].set_index(["arm", "prior"])["value"].to_dict()
        swapped = [
            {"arm": arm, "values": [known.get((arm, prior), np.nan) for prior in (quality.OWN, *SWAPS)]}
            for arm in dict.fromkeys(swaps["arm"])
        ]
        tables.append({"cell": cell, "epoch": epoch, "arms": arms, "rows": rows, "swaps": swapped})
    profile = picture(CATALOGUE["profile"].draw(findings).figure, "Full scores against their floors")
    return {"profile": profile, "quality": tables}
