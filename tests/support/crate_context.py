"""Fill the HTTP cache of rocrate-validator with the JSON-LD context that the package rocrate holds: no network.

Run by the Python of the environment that rocrate-validator is installed in; its argument is the cache.
"""

import io
import sys
from pathlib import Path

import requests
import rocrate
from requests_cache import CachedSession
from urllib3 import HTTPResponse

ADDRESS = "https://w3id.org/ro/crate/1.1/context"


class Here(requests.adapters.HTTPAdapter):
    def send(self, request, **settings):
        body = io.BytesIO((Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes())
        raw = HTTPResponse(
            body,
            {"Content-Type": "application/ld+json"},
            status=200,
            preload_content=False,
            request_url=request.url,
        )
        return self.build_response(request, raw)


if __name__ == "__main__":
    session = CachedSession(sys.argv[1], backend="sqlite", expire_after=-1)
    session.mount("https://", Here())
    session.get(ADDRESS).raise_for_status()
