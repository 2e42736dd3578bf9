"""Writes the plugin's generated files: `python -m mission_control.gateway_bridge`."""

from ._surface import write

write()
