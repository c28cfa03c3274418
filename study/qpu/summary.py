"""What a journal comes to, in one small file that analysis reads."""

import json
from pathlib import Path
from typing import Any

from qgan.files import whole_file
from qgan.ionq.journal import Journal

SCHEMA = 1


def summary(journal: Journal) -> dict[str, Any]:
    """Orders and money, the losses told for every call, and the machine at every update event."""
    run = journal.run or {}
    orders = sorted(journal.orders.items())
    first = next((records["intent"] for _, records in orders if "intent" in records), {})
    count = {
        kind: sum(kind in records for _, records in orders) for kind in ("intent", "job", "void", "result", "cost")
    }
    adopted = sum(bool(records.get("job", {}).get("adopted")) for _, records in orders)
    times = [records["intent"]["time"] for _, records in orders if "intent" in records]
    ended = [records["result"]["time"] for _, records in orders if "result" in records]
    cycles: list[dict[str, Any]] = []
    while (record := journal.cycle(len(cycles))) is not None:
        drifts = sorted(journal.folder.glob(f"cycle-{len(cycles):03}.drift-*.json"))
        cycles.append({**record, "drifts": [json.loads(path.read_text()) for path in drifts]})
    return {
        "schema": SCHEMA,
        **{name: run.get(name) for name in ("id", "created", "machine", "service", "profile", "debiasing", "ansatz",
                                            "rates", "versions")},
        "shots": first.get("shots"),
        "pulses": first.get("pulses"),
        "entanglers": first.get("entanglers"),
        "orders": count,
        "adopted": adopted,
        "spent_usd": journal.spent,
        "charged_usd": journal.charged,
        "first_order": min(times, default=None),
        "last_result": max(ended, default=None),
        "losses": {str(call): losses for call in _calls(journal) if (losses := journal.losses(call)) is not None},
        "cycles": cycles,
    }  # fmt: skip


def _calls(journal: Journal) -> list[int]:
    return sorted({order.call for order in journal.orders})


def write_summary(journal: Journal, folder: Path) -> None:
    """journal.json beside the folder of the journal."""
    with whole_file(folder / "journal.json") as temporary:
        temporary.write_text(json.dumps(summary(journal), indent=1) + "\n")
