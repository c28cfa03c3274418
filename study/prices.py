"""What an hour of a GPU costs: list prices of public clouds, with date and source. A contract's price goes into
`budget: {usd_per_gpu_hour: ...}` of the study file."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Price:
    """List price of one whole GPU."""

    kind: str
    usd_per_hour: float
    vendor: str
    date: str  # ISO 8601, when the price was read
    source: str


_MATRIX = "https://techbytes.app/posts/serverless-gpu-pricing-matrix-modal-replicate-lambda-2026/"
_EC2 = "https://main.d1m6t5n8e4tvia.amplifyapp.com/blog/amazon-ec2-on-demand-pricing-instance-families-2026/"
_RUNPOD = "https://deploybase.ai/articles/runpod-gpu-pricing"

PRICES = (
    Price("T4", 0.5904, "Modal", "2026-05-07", _MATRIX),
    Price("L4", 0.7992, "Modal", "2026-05-07", _MATRIX),
    Price("A10G", 1.006, "AWS g5.xlarge, us-east-1, on demand", "2026-06-17", _EC2),
    Price("L40S", 1.9512, "Modal", "2026-05-07", _MATRIX),
    Price("A100", 2.4984, "Modal, 80 GB", "2026-05-07", _MATRIX),
    Price("H100", 3.9492, "Modal", "2026-05-07", _MATRIX),
    Price("H200", 6.35, "RunPod, on demand", "2026-03-10", _RUNPOD),
)


def list_price(gpu: str) -> Price | None:
    """The price of a GPU by the name that its driver gives, like `NVIDIA A100-SXM4-80GB`; None for other kinds."""
    words = re.split(r"[^A-Za-z0-9]+", gpu.upper())
    return next((price for price in PRICES if price.kind in words), None)
