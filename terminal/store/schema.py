"""The ledger's tables, as numbered forward migrations. ``journal`` is the truth; the others are what is kept of it for speed.

A migration is never edited once released: old ledgers are migrated from stored files in the tests.
"""

from __future__ import annotations

PAGE_SIZE = 1024
"""Small pages: a fuelling touches few rows in many tables, and every touched page is written whole, twice (log and file).
``make bench`` shows bytes per fuelling; the power-cut runs use the same size."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        utc INTEGER NOT NULL,
        clock TEXT NOT NULL,
        kind TEXT NOT NULL,
        body BLOB NOT NULL,
        hash BLOB NOT NULL
    ) STRICT;
    CREATE TABLE sale (
        sequence INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        id TEXT NOT NULL,
        state TEXT NOT NULL,
        fp INTEGER NOT NULL,
        nozzle INTEGER,
        account TEXT NOT NULL,
        customer TEXT,
        product TEXT,
        quantity_ml INTEGER NOT NULL,
        value_minor INTEGER NOT NULL,
        authorized_at INTEGER NOT NULL,
        reversal INTEGER NOT NULL,
        reserved_row INTEGER NOT NULL,
        authorized_row INTEGER,
        released_row INTEGER
    ) STRICT;
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        quarantined INTEGER NOT NULL DEFAULT 0,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE pin (account TEXT PRIMARY KEY, epoch INTEGER NOT NULL, tries INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE total (
        fp INTEGER NOT NULL, nozzle INTEGER NOT NULL, volume_ml INTEGER NOT NULL, PRIMARY KEY (fp, nozzle)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE fault (
        code TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (code, subject)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE deny (
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        upto TEXT NOT NULL,
        lifted INTEGER NOT NULL,
        epoch TEXT NOT NULL,
        list_version INTEGER NOT NULL,
        event INTEGER NOT NULL,
        effective_at INTEGER NOT NULL,
        PRIMARY KEY (kind, value, upto)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE ack (event INTEGER PRIMARY KEY, effective_at INTEGER NOT NULL) STRICT;
    """,
    """
    ALTER TABLE sale ADD COLUMN decided_by TEXT;
    UPDATE sale SET decided_by =
        (SELECT json_extract(CAST(body AS TEXT), '$.decided_by') FROM journal WHERE seq = authorized_row);
    ALTER TABLE sale ADD COLUMN ended_row INTEGER;
    UPDATE sale SET ended_row = ended.seq FROM
        (SELECT json_extract(CAST(body AS TEXT), '$.sale') AS sale, seq FROM journal WHERE kind IN ('SaleDelivered', 'SaleEnded')) AS ended
        WHERE ended.sale = sale.id;
    CREATE TABLE batch (
        batch INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        state TEXT NOT NULL,
        sent_row INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE correction (
        correction TEXT PRIMARY KEY,
        sequence INTEGER NOT NULL,
        row INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE closing (
        scope TEXT NOT NULL, name TEXT NOT NULL, why TEXT NOT NULL, event INTEGER NOT NULL, since INTEGER NOT NULL,
        PRIMARY KEY (scope, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE badge_counter (token TEXT PRIMARY KEY, counter INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    ALTER TABLE sale ADD COLUMN second TEXT;
    CREATE TABLE odometer (account TEXT PRIMARY KEY, reading INTEGER NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE refusal (code TEXT PRIMARY KEY, row INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    ALTER TABLE ack ADD COLUMN refused TEXT;
    """,
    """
    CREATE TABLE price (
        fp INTEGER NOT NULL, nozzle INTEGER NOT NULL, product TEXT NOT NULL, price INTEGER NOT NULL, version INTEGER NOT NULL,
        since INTEGER NOT NULL, PRIMARY KEY (fp, nozzle)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE price_plan (version INTEGER PRIMARY KEY, row INTEGER NOT NULL) STRICT;
    CREATE TABLE head (
        fp INTEGER NOT NULL, nozzle INTEGER NOT NULL, settled INTEGER NOT NULL, PRIMARY KEY (fp, nozzle)
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE outbox ADD COLUMN digest BLOB;
    ALTER TABLE odometer ADD COLUMN since_ml INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE anchor (part INTEGER PRIMARY KEY, content BLOB NOT NULL, digest BLOB NOT NULL) STRICT;
    """,
)
