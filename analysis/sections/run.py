"""What was run: trials by cell and arm."""

from collections import Counter
from typing import Any

from analysis.answer import trial_counts
from analysis.findings import Findings


def values(findings: Findings) -> dict[str, Any]:
    trials, arms = findings.trials, findings.plan.arms
    states = Counter(zip(trials["cell"], trials["arm"], trials["status"], strict=True))
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for (cell, arm, status), count in sorted(states.items()):
        counts.setdefault((cell, arm), {})[status] = count
    return {
        "counts": trial_counts(findings.results),
        "status": {
            place: ", ".join(f"{count} {status}" for status, count in here.items()) for place, here in counts.items()
        },
        "replicates": trials.groupby("arm")["replicate"].nunique().reindex(arms, fill_value=0).to_dict(),
        "minutes": 60 * float(trials.drop_duplicates("key")["hours"].sum()),
    }
