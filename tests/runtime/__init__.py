"""What runs the core: inbox, deadlines, engine, loop, watchdog, logs, status."""
