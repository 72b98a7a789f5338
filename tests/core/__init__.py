"""Tests of what the core decides, without devices, disk or clock."""
