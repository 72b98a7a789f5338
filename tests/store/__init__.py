"""The ledger, the card file and the keys: on the real SQLite, with real files, cut, filled up, edited and opened twice."""
