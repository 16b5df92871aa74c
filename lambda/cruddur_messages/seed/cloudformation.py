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
from dataclasses import dataclass, field
from threading import Lock, Timer
from typing import Any, Final
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

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


@dataclass(kw_only=True)
class Response:
    """The response to one event. Only the first is sent; later ones are ignored.

    `physical_resource_id` is the resource's id after success; after a failure it keeps its previous id. `ca_bundle` is
    the path of the certificates to trust instead of the machine's own.
    """

    event: Mapping[str, Any]
    physical_resource_id: str
    ca_bundle: str | None = None
    sleep: Callable[[float], None] = time.sleep
    _lock: Lock = field(default_factory=Lock, init=False)
    _body: bytes | None = field(default=None, init=False)
    _is_delivered: bool = field(default=False, init=False)

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
        new_id = self.physical_resource_id
        response = {
            "Status": status,
            "Reason": _one_line(reason),
            "PhysicalResourceId": new_id if status == "SUCCESS" else self.event.get("PhysicalResourceId", new_id),
            **{name: self.event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        }
        return json.dumps(response, ensure_ascii=False).encode()

    def _deliver(self, body: bytes) -> None:
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                _put(self.event["ResponseURL"], body, self.ca_bundle)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                return
            log.emit("custom_resource_response_not_delivered", attempt=attempt + 1, problem=problem)
        raise UndeliveredError(problem)


def _one_line(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split()).encode()[:LONGEST_REASON].decode(errors="ignore")


def _put(url: str, body: bytes, ca_bundle: str | None) -> None:
    # The URL is signed for an empty content type.
    request = Request(url, body, {"Content-Type": ""}, method="PUT")  # noqa: S310 - CloudFormation gives the address
    trusting = HTTPSHandler(context=ssl.create_default_context(cafile=ca_bundle))
    with build_opener(ProxyHandler({}), trusting).open(request, timeout=TIMEOUT_SECONDS):
        pass
