"""Hybrid quantum-classical generative modelling of EBSD images: the science, without the platform."""
