"""The response of a custom resource to CloudFormation: exactly one for each event, whatever happens.

Source: CloudFormation User Guide, "Custom resource request types" and "Custom resource response objects".
"""

import http.client
import json
import ssl
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock, Timer
from typing import Any, Final
from urllib.parse import urlsplit

from cruddur_messages import log

LONGEST_REASON: Final = 1000
"""In bytes; CloudFormation accepts a body of up to 4096."""

ATTEMPTS: Final = 3
FIRST_PAUSE_SECONDS: Final = 0.5
TIMEOUT_SECONDS: Final = 3.0

RESERVE_SECONDS: Final = 12.0
"""The longest that sending a response takes: all attempts, and the pauses between them."""


class UndeliveredError(Exception):
    """CloudFormation could not be reached; the text says why."""


class Response:
    """The response to one event. Only the first is sent; later ones are ignored.

    `physical_resource_id` is the resource's id after success; after a failure it keeps its previous id. `ca_bundle` is
    the path of the certificates to trust instead of the machine's own.
    """

    def __init__(
        self,
        event: Mapping[str, Any],
        *,
        physical_resource_id: str,
        ca_bundle: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._event = event
        self._physical_resource_id = physical_resource_id
        self._ca_bundle = ca_bundle
        self._sleep = sleep
        self._lock = Lock()
        self._body: bytes | None = None
        self._is_delivered = False

    @contextmanager
    def for_work(self, *, seconds: float, progress: Callable[[], str]) -> Iterator[None]:
        """Respond for the work in the block: SUCCESS, or FAILED if it raises or takes longer than `seconds`.

        `progress` returns the state of the work, for the reason. Raises UndeliveredError.
        """
        watchdog = Timer(seconds, self._time_out, [progress])
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            at = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
            log.emit("custom_resource_failed", error=type(error).__name__, at=at, progress=progress())
            self._respond("FAILED", f"{type(error).__name__}: {error}")
        else:
            self._respond("SUCCESS", "")
        finally:
            watchdog.cancel()

    def _time_out(self, progress: Callable[[], str]) -> None:
        log.emit("custom_resource_out_of_time", progress=progress())
        with suppress(UndeliveredError):
            self._respond("FAILED", f"out of time after {progress()}")

    def _respond(self, status: str, reason: str) -> None:
        with self._lock:
            if self._body is None:
                self._body = self._compose(status, reason)
            if not self._is_delivered:
                self._deliver(self._body)
                self._is_delivered = True

    def _compose(self, status: str, reason: str) -> bytes:
        new_id = self._physical_resource_id
        response = {
            "Status": status,
            "Reason": _one_line(reason),
            "PhysicalResourceId": new_id if status == "SUCCESS" else self._event.get("PhysicalResourceId", new_id),
            **{name: self._event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        }
        return json.dumps(response, ensure_ascii=False).encode()

    def _deliver(self, body: bytes) -> None:
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                status = _put(self._event["ResponseURL"], body, self._ca_bundle)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if status == http.client.OK:
                    return
                problem = f"HTTP status {status}"
            log.emit("custom_resource_response_not_delivered", attempt=attempt + 1, problem=problem)
        raise UndeliveredError(problem)


def _one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split()).encode()[:LONGEST_REASON].decode(errors="ignore")


def _put(url: str, body: bytes, ca_bundle: str | None) -> int:
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_bundle)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
    try:
        # The URL is signed for an empty content type.
        connection.request("PUT", f"{parts.path}?{parts.query}", body, {"Content-Type": ""})
        return connection.getresponse().status
    finally:
        connection.close()
