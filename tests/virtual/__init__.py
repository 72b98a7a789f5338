"""The virtual world: the real core, store, codecs and line masters, the emulators, and one heap of time. No thread, no sleep."""
