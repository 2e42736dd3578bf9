"""The Gateway that the settings name."""

from __future__ import annotations

from pathlib import Path

import attrs

from .actors import Home
from .config import Config, GatewaySettings
from .gateway_bridge import GatewayAddress, read_or_make_device
from .storage import Invalid


def gateway_address(config: Config, home: Home) -> GatewayAddress:
    """Return where it is, with all that it takes to be let in.

    Raises:
        Invalid: a setting is wrong, or the token cannot be read.
    """
    settings = config.gateway
    address = GatewayAddress(
        settings.url,
        gateway_token(settings),
        fingerprint=settings.tls_fingerprint,
        plaintext=settings.allow_plaintext,
    )
    # On this host the token is enough, and a Gateway would pair whatever key it is shown.
    device = None if address.is_local else read_or_make_device(home.device)
    return attrs.evolve(address, device=device)


def gateway_token(settings: GatewaySettings) -> str:
    """Read the token that lets us in.

    Raises:
        Invalid: no file is named, or it cannot be read.
    """
    path = settings.token_file
    if not path:
        raise Invalid("a Gateway needs its token: give --token-file", field="gateway.token_file")
    try:
        return Path(path).expanduser().read_text("utf-8").strip()
    except OSError as error:
        why = error.strerror
    except UnicodeDecodeError:
        why = "it holds no text"
    raise Invalid(
        f"cannot read the Gateway's token from {path}: {why}", field="gateway.token_file"
    ) from None
