"""The terminal in a virtual machine of its own: its own kernel, systemd, udev, USB devices, disk and watchdog (``make machine``)."""
