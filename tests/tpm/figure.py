"""How many second layers a second the TPM of the tests makes: ``python -m tests.tpm.figure``."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from terminal.store.tpm import Tpm, second_layer
from tests.tpm.chip import Chip

PINS = 10_000


def main() -> None:
    """One line."""
    with tempfile.TemporaryDirectory() as folder:
        chip = Chip(Path(folder))
        try:
            begun = time.perf_counter()
            second_layer(Tpm(chip.device), [number.to_bytes(16, "big") for number in range(PINS)])
            print(f"swtpm: {PINS / (time.perf_counter() - begun):.0f} second layers a second")
        finally:
            chip.off()


if __name__ == "__main__":
    main()
