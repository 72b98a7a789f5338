"""The demonstration: one day on a small forecourt, in under a minute, on the real program (``make demo``)."""
