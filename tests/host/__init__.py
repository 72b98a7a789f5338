"""The host lane, the HTTPS client and the list snapshots, with hosts that misbehave."""
