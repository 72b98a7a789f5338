"""``python -m tests.oracle``: random cases through the real ``python -m terminal explain``, held against the rules written apart."""
