"""Emulated dispensers: a fuelling point (``head``, ``hydraulics``) that knows no protocol, and one emulator per line protocol."""
