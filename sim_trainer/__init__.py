"""Offline trainer: scene YAML in, domain-randomized simulation, one self-describing model out."""

__version__ = '0.1.0'
