"""The behaviour language: its values, its tables, its steps, and the world that the steps act on."""
