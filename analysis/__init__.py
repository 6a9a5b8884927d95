"""Reads result folders; draws and tabulates what was already measured."""
