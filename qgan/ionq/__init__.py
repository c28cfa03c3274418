"""IonQ's machines: their noise, and what it takes to run on them."""
