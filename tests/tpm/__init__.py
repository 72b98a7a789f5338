"""The second layer of PINs and the counter against a rolled-back ledger, on a real TPM 2.0 in software (swtpm behind a terminal device)."""
