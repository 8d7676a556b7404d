"""Preceptor: ask a textbook, get an answer whose every citation opens the right heading."""

from importlib.metadata import version

__version__ = version("preceptor")
