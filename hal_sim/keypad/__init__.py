"""The keypad: what its keys are called, which codes they send, and a Linux input device that does not exist."""
