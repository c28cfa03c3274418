"""What the quantum layer costs, beside what others take for the same numbers.

    python -m benchmarks.quantum [aer] [noise] [lightning] [update] [ladder] [--repeats 9] [--threads 1] [--device cuda]

Both sides of a comparison run in this process, are warmed up, take turns, and have to agree before the clock starts.
Times are medians, shortest in brackets.
"""

import argparse

import torch

from benchmarks.clock import machine, shown, timed
from benchmarks.quantum.problem import Problem


def ladder(repeats: int, device: str, sizes: tuple[int, ...] = (6, 8, 10, 12, 14, 16, 18, 20, 22, 24)) -> None:
    """Prints our gradient at each size."""
    print("| n | P | gradient, ms |\n|---|---|---|")
    for n in sizes:
        problem = Problem(n, device)
        (took,) = timed({"ours": problem.ours}, repeats if n > 16 else 5 * repeats).values()
        print(f"| {n} | {problem.ansatz.n_parameters} | {shown(took)} |", flush=True)


def main() -> None:
    """Runs the parts that were asked for."""
    parts = ("aer", "noise", "lightning", "update", "ladder")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=(*parts, []), metavar="part", help=f"of {', '.join(parts)}")
    parser.add_argument("--repeats", type=int, default=9, help="timed runs per row, the median is printed")
    parser.add_argument("--threads", type=int, help="torch threads; OMP_NUM_THREADS bounds the others")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of `update` and `ladder`")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for part in arguments.parts or parts:
        print(f"\n{part} on {machine(arguments.device)}, {arguments.repeats} repeats\n")
        if part == "aer":
            from benchmarks.quantum import aer

            aer.report(arguments.repeats)
        elif part == "noise":
            from benchmarks.quantum import noise

            noise.report(arguments.repeats)
        elif part == "lightning":
            from benchmarks.quantum import lightning

            lightning.report(arguments.repeats)
        elif part == "update":
            from benchmarks.quantum import update

            update.report(arguments.repeats, arguments.device)
        else:
            ladder(arguments.repeats, arguments.device)


if __name__ == "__main__":
    main()
