"""How a command ended, beside 0 (done) and 2 (wrong usage, by click)."""

INPUT = 1  # the user's input is wrong
FAILED_TRIALS = 3  # finished, but trials failed
BUDGET = 4  # stopped by a budget, or for want of a confirmation
INTERRUPTED = 130  # by Ctrl-C
