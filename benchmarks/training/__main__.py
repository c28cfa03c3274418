"""What training costs.

    python -m benchmarks.training [steps] [scores] [full] [arms] [replicates] [--sizes 16x64,64x64] [--repeats 9]
                                  [--threads 2] [--device cuda]

Sizes are width x batch. Both sides of a comparison run in this process, are warmed up and take turns. Times are
medians, shortest in brackets.
"""

import argparse

import torch

from benchmarks.clock import machine
from benchmarks.training import arms, full, replicates, scores, steps

PARTS = {"steps": steps, "scores": scores, "full": full, "arms": arms, "replicates": replicates}


def main() -> None:
    """Runs the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=(*PARTS, []), metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--sizes", default="16x64,64x64", help="width x batch, separated by commas")
    parser.add_argument("--repeats", type=int, default=9, help="timed runs per row, the median is printed")
    parser.add_argument("--threads", type=int, help="torch threads")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    sizes = [(int(width), int(batch)) for width, batch in (each.split("x") for each in arguments.sizes.split(","))]
    for part in arguments.parts or PARTS:
        print(f"\n{part} on {machine(arguments.device)}, {arguments.repeats} repeats\n", flush=True)
        PARTS[part].report(arguments.repeats, arguments.device, sizes)


if __name__ == "__main__":
    main()
