"""AZT 2.0, the master's side. Facts and their certainty: firmware_notes/azt.md, golden frames: firmware_notes/azt.frames.toml."""
