"""What runs on this machine asks nobody else: no account, no proxy, no file of the user."""

import errno
import os
import re
import socket
import ssl
from typing import Any
from urllib.request import HTTPSHandler, ProxyHandler, build_opener, getproxies_environment, proxy_bypass

import boto3
import botocore.session
from botocore.config import Config

from cruddur_local.errors import LocalSystemError

LOOPBACK = ("127.0.0.1", "::1")
HERE = ("localhost", *LOOPBACK)

_BASIC = re.compile(r"PATH|HOME|USER|LOGNAME|SHELL|TZ|TMPDIR|LANG|LANGUAGE|LC_\w+|LD_LIBRARY_PATH|XDG_\w+")


def basic() -> dict[str, str]:
    """The variables that any program needs. The others may configure it: AWS_*, CDK_*, NODE_*, PYTHON*, proxies."""
    return {name: value for name, value in os.environ.items() if _BASIC.fullmatch(name)}


def without_proxy() -> dict[str, str]:
    """The variables that keep requests to this machine from the user's proxy; none if it would not get them."""
    if not getproxies_environment().keys() - {"no"} or all(map(proxy_bypass, HERE)):
        return {}
    excluded = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    value = ",".join([*([excluded] if excluded else []), *HERE])
    # Programs differ in which of the two they read.
    return {"NO_PROXY": value, "no_proxy": value}


def open_directly(url: str, *, timeout: float, trust: ssl.SSLContext | None = None) -> Any:
    """The response to a GET that uses no proxy. Raises OSError."""
    return build_opener(ProxyHandler({}), HTTPSHandler(context=trust)).open(url, timeout=timeout)


def session(*, access_key_id: str, secret_access_key: str, region: str) -> boto3.Session:
    """A session that no variable and no file of the user configures; its clients use no proxy."""
    unread = {
        name: (None, None, default, conversion)
        for name, (_, _, default, conversion) in botocore.session.Session.SESSION_VARIABLES.items()
    }
    no_files = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    core = botocore.session.Session(unread | no_files)
    core.set_default_client_config(Config(proxies={}))
    return boto3.Session(access_key_id, secret_access_key, region_name=region, botocore_session=core)


def is_free(port: int, addresses: tuple[str, ...] = LOOPBACK) -> bool:
    """Whether nobody listens on the port at these addresses. Raises LocalSystemError if only root may do so."""
    for address in addresses:
        try:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
                probe.listen()
        except PermissionError:
            raise LocalSystemError(f"port {port} needs administrator rights; choose one above 1023") from None
        except OSError as error:
            # Any other error means that this machine does not have the address.
            if error.errno == errno.EADDRINUSE:
                return False
    return True
