"""`study gains`: Optuna searches the gain sequence of SPSA, one cycle per candidate and seed at frozen networks."""
