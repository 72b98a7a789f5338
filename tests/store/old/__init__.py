"""Dumps of ledgers that older programs wrote."""
