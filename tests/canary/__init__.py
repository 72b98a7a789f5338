"""Canaries: PINs, card numbers, tracks and keys that nobody may find outside the terminal.

``python -m tests.canary`` plays drivers with them and searches everything that left.
"""
