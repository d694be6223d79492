"""Packages that are executed when something of them is used."""

import subprocess
import sys

import pytest

PACKAGE = {
    "__init__.py": """
import time
time.sleep(0.3)
from late import inner
number = inner.number + 1
print('executed')
""",
    "inner.py": "import late\nnumber = 1\n",
    "other.py": "number = 5\n",
}
"""It looks into itself while it is executed, and takes a while."""
BEFORE = """
from mep.machine.lazily import import_when_used
import_when_used('late')
import late
import late as again
"""


def run(folder, code, files=PACKAGE):
    (folder / "late").mkdir()
    for name, text in files.items():
        (folder / "late" / name).write_text(text)
    code = f"import sys\nsys.path.insert(0, {str(folder)!r})\n{BEFORE}{code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("use", "printed"),
    [
        ("print('imported')", ["imported"]),
        ("print('imported'); print(late.number, late.inner.number)", ["imported", "executed", "2 1"]),
        ("print('imported'); from late import number; print(number)", ["imported", "executed", "2"]),
        ("print('imported'); import late.other; print(late.other.number)", ["imported", "executed", "5"]),
        ("print(late.number, type(late).__name__, late.__spec__.name)", ["executed", "2 module late"]),
        ("print(hasattr(late, 'nothing'), 'late.inner' in sys.modules)", ["executed", "False True"]),
    ],
)
def test_a_package_is_executed_when_something_of_it_is_used(tmp_path, use, printed):
    done = run(tmp_path, use)
    assert (done.stdout.splitlines(), done.stderr) == (printed, "")


def test_threads_that_use_it_at_once_all_find_it_whole(tmp_path):
    code = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(lambda n: late.number + n, range(8))))
"""
    done = run(tmp_path, code)
    assert (done.stdout.splitlines(), done.stderr) == (["executed", str(list(range(2, 10)))], "")


def test_one_that_cannot_be_executed_says_why_every_time(tmp_path):
    code = """
for _ in range(2):
    try:
        import late
        late.number
    except OSError as error:
        print(error)
"""
    done = run(tmp_path, code, {"__init__.py": "raise OSError('its library is missing')\n"})
    assert done.stdout.splitlines() == ["its library is missing"] * 2


def test_what_is_not_installed_or_is_there_already_stays_so():
    code = """
import json
from mep.machine.lazily import import_when_used
import_when_used('json')
import_when_used('no_such_package')
print(json.dumps(1))
import no_such_package
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "1\n"
    assert "No module named 'no_such_package'" in done.stderr
