"""The fault catalogue: what can be wrong, how bad it is, and what to do about it. Faults begin and end; both are journal rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How much service is left."""

    WARNING = "warning"  # served, but somebody should look
    DEGRADED = "degraded"  # part of the station is out
    STOPPED = "stopped"  # nobody is served


class FaultCode(Enum):
    """Every fault that this terminal can raise."""

    EMERGENCY_STOP = "EMERGENCY_STOP"
    PUMP_LINE_LOST = "PUMP_LINE_LOST"
    PUMP_COMMAND_FAILED = "PUMP_COMMAND_FAILED"
    PUMP_RECORD_UNREADABLE = "PUMP_RECORD_UNREADABLE"
    PUMP_RECORD_MISMATCH = "PUMP_RECORD_MISMATCH"
    PUMP_TOTALISER_WENT_BACK = "PUMP_TOTALISER_WENT_BACK"
    PUMP_ALARM = "PUMP_ALARM"
    PUMP_UNEXPECTED_FLOW = "PUMP_UNEXPECTED_FLOW"
    PRICE_MISMATCH = "PRICE_MISMATCH"
    UNATTRIBUTED_DELIVERY = "UNATTRIBUTED_DELIVERY"
    HOST_UNREACHABLE = "HOST_UNREACHABLE"
    HOST_TIME_REFUSED = "HOST_TIME_REFUSED"
    CERTIFICATE_ENDS = "CERTIFICATE_ENDS"
    MESSAGE_QUARANTINED = "MESSAGE_QUARANTINED"
    BATCH_UNBALANCED = "BATCH_UNBALANCED"
    OUTBOX_FULL = "OUTBOX_FULL"
    LIST_REFUSED = "LIST_REFUSED"
    LIST_MISSING = "LIST_MISSING"
    GREY_CARD = "GREY_CARD"
    PIN_GUESSING = "PIN_GUESSING"
    LEDGER_ROLLED_BACK = "LEDGER_ROLLED_BACK"
    PIN_KEY_UNAVAILABLE = "PIN_KEY_UNAVAILABLE"
    DEVICE_DOWN = "DEVICE_DOWN"
    STORAGE_LOW = "STORAGE_LOW"
    STORAGE_FAILED = "STORAGE_FAILED"
    STORAGE_DAMAGED = "STORAGE_DAMAGED"
    LEDGER_RESTORED = "LEDGER_RESTORED"
    BACKUP_FAILED = "BACKUP_FAILED"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a code means to people."""

    severity: Severity
    meaning: str
    action: str


CATALOGUE: dict[FaultCode, FaultKind] = {
    FaultCode.EMERGENCY_STOP: FaultKind(
        Severity.STOPPED,
        "The emergency stop of the site was pressed. Nothing is released.",
        "Look why. When all is well: pull the button out again, then on this machine `python -m terminal reset-emergency-stop`.",
    ),
    FaultCode.PUMP_LINE_LOST: FaultKind(
        Severity.DEGRADED,
        "A fuelling point does not answer on its line.",
        "Check the dispenser's power, the RS-485 cable and the converter. An open sale is completed when the pump answers again.",
    ),
    FaultCode.PUMP_COMMAND_FAILED: FaultKind(
        Severity.DEGRADED,
        "A fuelling point acknowledged a command and did not obey.",
        "Look at the dispenser's display; lift and hang up the nozzle; compare the pump profile with the head.",
    ),
    FaultCode.PUMP_RECORD_UNREADABLE: FaultKind(
        Severity.DEGRADED,
        "A pump does not give the record of its last fill.",
        "The sale stays open and its hold counts. Check the line; do not reset the head by hand.",
    ),
    FaultCode.PUMP_RECORD_MISMATCH: FaultKind(
        Severity.WARNING, "A fill's record and the totaliser do not agree.", "Compare the sale with the head's display and totaliser."
    ),
    FaultCode.PUMP_TOTALISER_WENT_BACK: FaultKind(
        Severity.WARNING, "A totaliser shows less than before.", "Meter exchanged or rolled over: note it in the site's book."
    ),
    FaultCode.PUMP_ALARM: FaultKind(
        Severity.DEGRADED, "A dispenser reports an alarm of its own.", "See the dispenser's manual for the alarm."
    ),
    FaultCode.PUMP_UNEXPECTED_FLOW: FaultKind(
        Severity.DEGRADED, "Fuel flows that this terminal did not release.", "Look at the dispenser now; it was told to stop."
    ),
    FaultCode.PRICE_MISMATCH: FaultKind(
        Severity.DEGRADED,
        "A head shows another price than this terminal.",
        "The price was sent again; nothing is released until they agree.",
    ),
    FaultCode.UNATTRIBUTED_DELIVERY: FaultKind(
        Severity.WARNING,
        "Fuel left a nozzle without a sale of this terminal.",
        "Find out who took it; the journal has the totaliser's values.",
    ),
    FaultCode.HOST_UNREACHABLE: FaultKind(
        Severity.WARNING,
        "The fleet-card host does not answer; cards are decided offline.",
        "Check the line. Sales are kept and sent later.",
    ),
    FaultCode.HOST_TIME_REFUSED: FaultKind(
        Severity.WARNING,
        "The host says a time that cannot be believed; the terminal's own time goes on.",
        "Let the host's operator look at its clock and its certificate. A right time ends it; one that stays is believed in an hour.",
    ),
    FaultCode.CERTIFICATE_ENDS: FaultKind(
        Severity.WARNING,
        "The terminal's own certificate ends within 30 days, or has ended, and was not renewed.",
        "See the cause in the fault's text; give the terminal a new pair with systemd-creds. Without it only offline service is left.",
    ),
    FaultCode.MESSAGE_QUARANTINED: FaultKind(
        Severity.WARNING, "The host refuses a message for good.", "It is kept. Give its key to the host's operator."
    ),
    FaultCode.BATCH_UNBALANCED: FaultKind(
        Severity.WARNING,
        "The host's books and the terminal's differ over a batch of sales, and sending the records again did not help.",
        "Compare the batch with the host's operator; the journal has every sale. The fault ends when a later batch agrees.",
    ),
    FaultCode.OUTBOX_FULL: FaultKind(
        Severity.STOPPED, "Too many sales wait for the host.", "Restore the line to the host; nothing is dropped and nothing new is sold."
    ),
    FaultCode.LIST_REFUSED: FaultKind(
        Severity.WARNING, "A card list was refused; the old one serves.", "See the cause in the fault's text."
    ),
    FaultCode.LIST_MISSING: FaultKind(
        Severity.DEGRADED, "No card list has ever arrived; only the host can decide.", "Connect the terminal to its host."
    ),
    FaultCode.GREY_CARD: FaultKind(
        Severity.WARNING,
        "A card that is only decided online was presented while the host was away.",
        "The card was refused. Ask the issuer about it if it comes again; restore the line to the host.",
    ),
    FaultCode.PIN_GUESSING: FaultKind(
        Severity.WARNING,
        "Many wrong PINs were typed at this terminal within minutes; each further check waits longer.",
        "Look who stands there. The right PIN of a card that is not locked is still taken, only later.",
    ),
    FaultCode.LEDGER_ROLLED_BACK: FaultKind(
        Severity.DEGRADED,
        "The ledger is an older copy than the one that served here last; no PIN is checked at this terminal.",
        "Find out who put it back. Compare its sales with the host's, then let the host confirm the ledger.",
    ),
    FaultCode.PIN_KEY_UNAVAILABLE: FaultKind(
        Severity.DEGRADED,
        "The chip with the second key of the PINs does not answer; no PIN is checked at this terminal.",
        "Check the TPM and its device, then start the terminal anew.",
    ),
    FaultCode.DEVICE_DOWN: FaultKind(Severity.DEGRADED, "A reader, keypad or display does not answer.", "Check its plug and port name."),
    FaultCode.STORAGE_LOW: FaultKind(
        Severity.STOPPED, "The disk is nearly full.", "Make room in the state directory; service resumes by itself."
    ),
    FaultCode.STORAGE_FAILED: FaultKind(
        Severity.STOPPED, "The ledger cannot be written.", "Check disk space and the disk; nothing is released until a write succeeds."
    ),
    FaultCode.STORAGE_DAMAGED: FaultKind(
        Severity.DEGRADED,
        "The ledger was damaged and its newest rows are lost; cards are decided by the host only.",
        "Compare the sales with the host's operator, who then confirms the ledger; give him the damaged file; replace the disk.",
    ),
    FaultCode.LEDGER_RESTORED: FaultKind(
        Severity.WARNING,
        "The ledger was damaged and made anew without a loss.",
        "The damaged file is kept beside it. Replace the disk; the host's operator confirms the ledger.",
    ),
    FaultCode.BACKUP_FAILED: FaultKind(
        Severity.WARNING,
        "The last backup of the ledger could not be made; those before it are kept.",
        "See the cause in the fault's text: room and rights of the backup folder, its disk. The next good backup ends the fault.",
    ),
}


ACKNOWLEDGED = frozenset(
    {
        FaultCode.UNATTRIBUTED_DELIVERY,
        FaultCode.PUMP_RECORD_MISMATCH,
        FaultCode.PUMP_TOTALISER_WENT_BACK,
        FaultCode.PUMP_ALARM,
        FaultCode.MESSAGE_QUARANTINED,
        FaultCode.GREY_CARD,
    }
)
"""Faults of something that has happened: they end when a person says that he has seen them. Everything else ends with its cause."""


class FaultBook:
    """Which faults are on now: (code, subject) → detail."""

    def __init__(self) -> None:
        self.active: dict[tuple[FaultCode, str], str] = {}

    def begin(self, code: FaultCode, subject: str, detail: str) -> bool:
        """True when it was not there before."""
        if (code, subject) in self.active:
            return False
        self.active[code, subject] = detail
        return True

    def end(self, code: FaultCode, subject: str) -> bool:
        """True when it was there."""
        return self.active.pop((code, subject), None) is not None

    def any_stopped(self) -> bool:
        """True when some fault forbids all service."""
        return any(CATALOGUE[code].severity is Severity.STOPPED for code, _ in self.active)

    @property
    def emergency(self) -> bool:
        """The emergency stop of the site is on: nothing may be released."""
        return any(code is FaultCode.EMERGENCY_STOP for code, _ in self.active)

    def stopping(self) -> FaultCode | None:
        """The fault that forbids all service, the emergency stop before any other; None when there is none."""
        stopped = [code for code, _ in self.active if CATALOGUE[code].severity is Severity.STOPPED]
        return FaultCode.EMERGENCY_STOP if self.emergency else next(iter(stopped), None)
