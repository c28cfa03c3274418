"""How a command ended, beside 0 (done), 1 (the user's input is wrong) and 2 (wrong usage, by click)."""

FAILED_TRIALS = 3  # finished, but trials failed
INTERRUPTED = 130  # by Ctrl-C
