"""The swarm: whole days at a station from one seed, with people, faults and power cuts, checked after every step.

How to read it: firmware_notes/simulation.md. Source of the idea and of the invariants: reference model-codebases, section 10.
"""
