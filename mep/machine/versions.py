"""Versions that must be the same in every process that computes a part of one result."""

import platform
from importlib import metadata

from mep.errors import EnvironmentLacks


def versions() -> dict[str, str]:
    packages = {name: metadata.version(name) for name in ("mep", "torch", "diffusers")}
    return packages | {"python": ".".join(platform.python_version_tuple()[:2])}


def check_versions(theirs: dict[str, str], host: str) -> None:
    """EnvironmentLacks: a worker runs other versions than this process."""
    for name, version in versions().items():
        if theirs.get(name) != version:
            raise EnvironmentLacks(
                f"the worker on {host} runs {name} {theirs.get(name)}, this process runs {version}",
                hint="workers of different versions draw different images: install the same on both",
            )
