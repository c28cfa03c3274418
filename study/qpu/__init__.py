"""The final trial: one WGAN whose circuits run on a machine, which one trial at a time may use."""
