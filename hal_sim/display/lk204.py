"""A Matrix Orbital LK204-25, the 20 x 4 serial character display, sans-IO.

Source: Matrix Orbital LK204-25 manual, command summary (prefix 0xFE, then a command byte and its parameters), as retold in
``firmware_notes/lk204.md``. The display answers nothing that is implemented here: it is a one-way device.

What a real display swallows in silence, but a driver should not rely on, is counted in ``faults``: unknown commands, cursor positions
off the screen, and text beyond the end of a line.
"""

from __future__ import annotations

COLUMNS, ROWS = 20, 4
PREFIX = 0xFE

# command byte -> how many parameter bytes follow
_PARAMETERS = {
    0x33: 1,  # set the I2C address: no effect on the screen
    0x23: 2,  # place a large digit: column, digit
    0x39: 1,  # change the speed of the line (takes effect after a restart here)
    0x3D: 2,  # vertical bar: column, height
    0x40: 80,  # start-up text
    0x41: 0,  # send key presses at once
    0x42: 1,  # backlight on, minutes (0 = for ever)
    0x43: 0,  # line wrap on
    0x44: 0,  # line wrap off
    0x45: 0,  # clear the key buffer
    0x46: 0,  # backlight off
    0x47: 2,  # cursor to column, row, both from 1
    0x48: 0,  # cursor home
    0x4A: 0,  # underline cursor on
    0x4B: 0,  # underline cursor off
    0x4C: 0,  # cursor left
    0x4D: 0,  # cursor right
    0x4E: 9,  # custom character: number, eight rows
    0x4F: 0,  # do not send key presses
    0x50: 1,  # contrast
    0x51: 0,  # scroll on
    0x52: 0,  # scroll off
    0x53: 0,  # block cursor on
    0x54: 0,  # block cursor off
    0x55: 1,  # key debounce time
    0x56: 1,  # general purpose output off
    0x57: 1,  # general purpose output on
    0x58: 0,  # clear
    0x60: 0,  # key repeat off
    0x68: 0,  # prepare horizontal bars
    0x6D: 0,  # prepare medium digits
    0x6E: 0,  # prepare large digits
    0x73: 0,  # prepare narrow vertical bars
    0x76: 0,  # prepare wide vertical bars
    0x7C: 4,  # horizontal bar: column, row, direction, length
    0x7E: 1,  # key repeat mode
    0x91: 1,  # contrast, remembered
    0x98: 1,  # brightness, remembered
    0x99: 1,  # brightness
}


class Lk204:
    """The display. ``lines()`` is what a person reads; ``code_page`` names the single-byte character set of its font."""

    def __init__(self, code_page: str = "iso-8859-1") -> None:
        """Raises LookupError for an unknown code page and ValueError for one that is not single-byte."""
        if len("é€Ж".encode(code_page, errors="replace")) != 3:
            raise ValueError(f"{code_page} is no single-byte character set")
        self.code_page = code_page
        self.backlight = True
        self.contrast = 128
        self.faults: list[str] = []
        self.custom: dict[int, bytes] = {}
        self._buffer = bytearray()
        self.wrap = True
        self.scroll = True
        self._cells: list[bytearray] = []
        self._column = self._row = 0
        self._clear()

    def lines(self) -> tuple[str, ...]:
        """The four lines as text, each with all its twenty characters."""
        return tuple(bytes(row).decode(self.code_page, errors="replace") for row in self._cells)

    @property
    def cursor(self) -> tuple[int, int]:
        """Column and row of the next character, both from 1; column 21 when the line is full."""
        return self._column + 1, self._row + 1

    # --- wire.Device

    def on_bytes(self, data: bytes, now: int) -> None:
        """Text and commands, in any cut."""
        for byte in data:
            if self._buffer:
                self._buffer.append(byte)
                self._command_byte()
            elif byte == PREFIX:
                self._buffer.append(byte)
            else:
                self._text(byte)

    def on_time(self, now: int) -> None:
        """Nothing here happens by itself."""

    def next_wakeup(self) -> int | None:
        """Never."""
        return None

    def take_output(self) -> list[tuple[int, bytes]]:
        """The display says nothing."""
        return []

    # --- text

    def _text(self, byte: int) -> None:
        if byte == 0x0C:
            self._clear()
        elif byte == 0x08:
            self._column = max(0, self._column - 1)
            self._cells[self._row][self._column] = 0x20
        elif byte == 0x0D:
            self._column = 0
        elif byte == 0x0A:
            self._next_row()
        else:
            self._put(byte)

    def _put(self, byte: int) -> None:
        if self._column >= COLUMNS:
            if not self.wrap:
                self.faults.append(f"text beyond the end of line {self._row + 1}")
                return
            self._next_row()
            self._column = 0
        self._cells[self._row][self._column] = byte
        self._column += 1

    def _next_row(self) -> None:
        if self._row < ROWS - 1:
            self._row += 1
        elif self.scroll:
            self._cells = [*self._cells[1:], bytearray(b" " * COLUMNS)]
        else:
            self._row = 0

    def _clear(self) -> None:
        self._cells = [bytearray(b" " * COLUMNS) for _ in range(ROWS)]
        self._column = self._row = 0

    # --- commands

    def _command_byte(self) -> None:
        command = self._buffer[1]
        wanted = _PARAMETERS.get(command)
        if wanted is None:
            self.faults.append(f"unknown command 0x{command:02X}")
            self._buffer.clear()
        elif len(self._buffer) == 2 + wanted:
            parameters = bytes(self._buffer[2:])
            self._buffer.clear()
            self._command(command, parameters)

    def _command(self, command: int, parameters: bytes) -> None:
        if command in (0x43, 0x44):
            self.wrap = command == 0x43
        elif command in (0x51, 0x52):
            self.scroll = command == 0x51
        elif command in (0x42, 0x46):
            self.backlight = command == 0x42
        elif command in (0x50, 0x91):
            self.contrast = parameters[0]
        elif command == 0x4E:
            self._define(parameters)
        else:
            self._move(command, parameters)

    def _move(self, command: int, parameters: bytes) -> None:
        if command == 0x58:
            self._clear()
        elif command == 0x48:
            self._column = self._row = 0
        elif command == 0x47:
            column, row = parameters
            if not (1 <= column <= COLUMNS and 1 <= row <= ROWS):
                self.faults.append(f"cursor to column {column}, row {row}")
                return
            self._column, self._row = column - 1, row - 1
        elif command == 0x4C:
            self._column = max(0, self._column - 1)
        elif command == 0x4D:
            self._column = min(COLUMNS - 1, self._column + 1)

    def _define(self, parameters: bytes) -> None:
        if parameters[0] > 7:
            self.faults.append(f"custom character {parameters[0]}")
            return
        self.custom[parameters[0]] = parameters[1:]
