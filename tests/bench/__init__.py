"""Figures beside their floors, from the same run on the same machine (``make bench``, ``firmware_notes/bench.md``)."""
