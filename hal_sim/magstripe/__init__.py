"""The stripe reader that pretends to be a keyboard: tracks, the keys that type them, and what goes wrong while swiping."""
