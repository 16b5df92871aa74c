"""What a user's shell and home folder may hold: none of it may change what is installed, or what runs here."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

FILES = {
    ".aws/config": "[default]\nsso_session = work\nsso_account_id = 1\nsso_role_name = a\nuse_fips_endpoint = true\n"
    "[sso-session work]\nsso_region = us-east-1\nsso_start_url = https://example.com\n",
    ".cdk.json": json.dumps({"app": "false", "profile": "nope", "context": {"name": "workspace"}}),
    ".npmrc": "omit=dev\nglobal=true\ndry-run=true\nbin-links=false\nprefix=/nowhere\n",
    ".config/pip/pip.conf": "[install]\nuser = yes\n[global]\ntarget = /nowhere\nrequire-virtualenv = yes\n",
    ".config/uv/uv.toml": '[pip]\ntarget = "/nowhere"\nno-deps = true\n',
}

VARIABLES = {
    "AWS_PROFILE": "nope",
    "AWS_DEFAULT_PROFILE": "",
    "AWS_ACCESS_KEY_ID": "alone",
    "AWS_SESSION_TOKEN": "expired",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_ENDPOINT_URL_CLOUDFORMATION": "http://127.0.0.1:9",
    "CDK_OUTPUT": "/nowhere",
    "GATEWAY_LISTEN": "0.0.0.0:9",
    "JAVA_TOOL_OPTIONS": "-Xmx1k",
    "NAME": "workspace",
    "NODE_ENV": "production",
    "NODE_OPTIONS": "--require=/nowhere.js",
    "NO_COLOR": "1",
    "PIP_PREFIX": "/nowhere",
    "PIP_REQUIREMENT": "/nowhere.txt",
    "PIP_TARGET": "/nowhere",
    "PIP_USER": "yes",
    "PORT": "1",
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "PYTHONSAFEPATH": "1",
    "UV_SYSTEM_PYTHON": "true",
    "UV_TARGET": "/nowhere",
    "npm_config_ignore_scripts": "false",
    "npm_config_omit": "dev",
}


def home(folder: Path) -> Path:
    """A home folder with a user's configuration."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def behind(proxy: str) -> dict[str, str]:
    """The variables of a user who is behind a proxy, in each spelling."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {spelling: proxy for name in names for spelling in (name, name.lower())}


@contextmanager
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that refuses every request; yields its address and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            asked.append(self.rfile.readline().decode(errors="replace").strip())
            self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
