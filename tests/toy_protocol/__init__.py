"""A pump protocol that exists nowhere: the proof that one more needs a folder of its own and one line of registration.

It was added by following ``firmware_notes/adding-a-protocol.md``: ``wire`` is the codec, ``driver`` the line master, ``pump`` the emulated
head, ``test_toy`` a fuelling through the real terminal. Nothing outside this folder knows of it.
"""
