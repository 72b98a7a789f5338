"""The emulators, held to golden frames and to their own rules."""
