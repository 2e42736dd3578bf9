from ._address import GatewayAddress
from ._callers import LOCAL, OPERATOR, Access, Caller
from ._census import agents_of, soul_of
from ._client import Client, connect
from ._connection import Connection, open_connection
from ._courier import Courier, Person
from ._device import Device, read_or_make_device
from ._doorkeeper import Doorkeeper
from ._install import PLUGIN_ID, InstallReport, install_plugin, uninstall_plugin
from ._limits import Limits
from ._link import Gateway, GatewayLink
from ._listener import Listener, PortInUse, bind
from ._local_socket import SocketInUse, open_local, short_name
from ._openclaw import OpenClawRunner
from ._plugin_bridge import PluginLinks
from ._refusals import GatewayRefused
from ._sandbox import Leak, sandbox_leaks, wakes_by_itself
from ._sandbox_watch import watch_sandbox
from ._surface import manifest, surface_js
from ._tools import TOOLS, Tool
from ._wire import event_to_wire, to_wire
from .methods import METHODS, Method, call

__all__ = [
    "LOCAL",
    "METHODS",
    "OPERATOR",
    "PLUGIN_ID",
    "TOOLS",
    "Access",
    "Caller",
    "Client",
    "Connection",
    "Courier",
    "Device",
    "Doorkeeper",
    "Gateway",
    "GatewayAddress",
    "GatewayLink",
    "GatewayRefused",
    "InstallReport",
    "Leak",
    "Limits",
    "Listener",
    "Method",
    "OpenClawRunner",
    "Person",
    "PluginLinks",
    "PortInUse",
    "SocketInUse",
    "Tool",
    "agents_of",
    "bind",
    "call",
    "connect",
    "event_to_wire",
    "install_plugin",
    "manifest",
    "open_connection",
    "open_local",
    "read_or_make_device",
    "sandbox_leaks",
    "short_name",
    "soul_of",
    "surface_js",
    "to_wire",
    "uninstall_plugin",
    "wakes_by_itself",
    "watch_sandbox",
]
