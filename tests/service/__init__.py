"""The service under real systemd: a Debian of its own as a container, the installed unit in it, the simulated forecourt beneath."""
