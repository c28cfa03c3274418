"""The platform: study files, plans, the ledger, Ray Tune and the command line."""
