"""The real program under fire in the rig: kills at random moments, a long time at full load, starts with a full ledger."""
