"""A server that speaks IonQ's API and simulates its machines: what a run on hardware is rehearsed against."""
