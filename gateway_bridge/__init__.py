"""Everything that crosses the process boundary: the Gateway, clients of ours, the plugin."""

from ._address import GatewayAddress
from ._callers import LOCAL, OPERATOR, Access, Caller, Doorkeeper, read_or_make_token
from ._census import agents_of, soul_of
from ._client import Client, connect
from ._connection import Connection as GatewayConnection
from ._connection import open_connection
from ._device import Device, read_or_make_device
from ._install import PLUGIN_ID, InstallReport, install_plugin, uninstall_plugin
from ._link import Gateway, GatewayLink
from ._listener import Listener, PortInUse, bind
from ._openclaw import OpenClawRunner
from ._plugin_bridge import PluginLinks
from ._refusals import GatewayRefused
from ._surface import manifest, surface_js
from ._table import METHODS, Method, call
from ._tools import TOOLS, Tool
from ._wire import event_to_wire, to_wire

__all__ = [
    "LOCAL",
    "METHODS",
    "OPERATOR",
    "PLUGIN_ID",
    "TOOLS",
    "Access",
    "Caller",
    "Client",
    "Device",
    "Doorkeeper",
    "Gateway",
    "GatewayAddress",
    "GatewayConnection",
    "GatewayLink",
    "GatewayRefused",
    "InstallReport",
    "Listener",
    "Method",
    "OpenClawRunner",
    "PluginLinks",
    "PortInUse",
    "Tool",
    "agents_of",
    "bind",
    "call",
    "connect",
    "event_to_wire",
    "install_plugin",
    "manifest",
    "open_connection",
    "read_or_make_device",
    "read_or_make_token",
    "soul_of",
    "surface_js",
    "to_wire",
    "uninstall_plugin",
]
