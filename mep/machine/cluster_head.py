"""Whether the head of a Ray cluster answers, asked without Ray's own patience."""

import os
import socket
import time

from mep.errors import EnvironmentLacks


def wait_for(address: str, timeout_s: float, *, hint: str) -> None:
    """Try to reach HOST:PORT until a gRPC server, as a cluster's head is one, answers there.

    EnvironmentLacks    none did in timeout_s seconds; `ray.init` itself would try for many minutes
    """
    host, port = address.rsplit(":", 1)
    until = time.monotonic() + timeout_s
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=max(0.1, until - time.monotonic())) as connection:
                return _greet(connection)
        except OSError as error:
            if time.monotonic() + 1 > until:
                raise EnvironmentLacks(
                    f"no Ray cluster answers at {address}: tried for {timeout_s:.0f} s ({error})", hint=hint
                ) from error
        time.sleep(1)


def _greet(connection: socket.socket) -> None:
    """OSError where the other side does not answer an HTTP/2 greeting (RFC 9113, 3.4) with its settings."""
    if os.environ.get("RAY_USE_TLS") == "1":
        return  # it speaks only after a handshake that Ray itself makes
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    if connection.recv(9)[3:4] != b"\4":
        raise ConnectionError("something else listens there")
