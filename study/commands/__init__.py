"""One module per command; each imports what is heavy when it runs."""
