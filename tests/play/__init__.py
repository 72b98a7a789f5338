"""Plays feature files from any folder: ``python -m tests.play FILE…``."""
