"""A real S3 server on this host (moto's), that can be stopped and started again with what it holds."""

import os
from contextlib import contextmanager

import fsspec
import pytest


class S3Host:
    def __init__(self):
        self.server = self._server(0)
        self.port = self.server.get_host_and_port()[1]
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "anna",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",  # who does not answer is told at once
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _server(self, port):
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        server.start()
        return server

    def bucket(self, name):
        """A new bucket; what fsspec has to say of it."""
        files = fsspec.filesystem("s3", use_listings_cache=False)
        files.mkdir(name)
        return files

    @contextmanager
    def down(self):
        self.server.stop()
        try:
            yield
        finally:
            self.server = self._server(self.port)


@pytest.fixture(scope="module")
def s3():
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    host = S3Host()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in host.environment.items():
            patch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            patch.setenv(name, os.devnull)
        yield host
    host.server.stop()
