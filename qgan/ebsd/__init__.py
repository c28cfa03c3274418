"""From an EBSD scan, or a synthetic map, to five-channel patches in one Parquet file. Imports no torch."""
