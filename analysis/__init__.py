"""Reads result tables, draws figures and writes the report. Needs neither torch, ray nor qiskit."""
