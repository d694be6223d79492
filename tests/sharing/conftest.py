"""A finished run that the tests of this folder share, and what was published of it."""

import pytest
from shared_run import mep, shared_run


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    return shared_run(tmp_path_factory.mktemp("sharing"))


@pytest.fixture(scope="session")
def published(house):
    """The folder of what was published of the arm `mep`."""
    folder = house.root / "published"
    done = mep(house, "publish", "--license", "CC-BY-4.0", "--publisher", "A Hospital", "--output", folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(folder)
    return folder
