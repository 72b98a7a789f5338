"""Power cuts and failing disks under the real store: every write and sync of a day is recorded below SQLite, and cut anywhere."""
