"""The rig world: the real program as a process of its own, against the simulated forecourt as another one."""
