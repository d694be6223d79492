"""torchvision imports beside a CPU build of torch, and is left alone where it works."""

import subprocess
import sys

from mep.machine import libraries


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_torchvision_clean_fid_and_the_pipeline_import_after_the_declaration():
    done = python(
        "from mep.machine.libraries import declare_missing_operators as declare; declare();"
        "import torchvision.transforms, torchvision.models, cleanfid.fid;"
        "from diffusers import StableDiffusionPipeline; from transformers import CLIPImageProcessor; print('imported')"
    )
    assert done.stdout.strip() == "imported", done.stderr


def test_nothing_is_declared_where_the_operators_already_exist():
    # torch.ops knows torchvision::nms as soon as a working extension (here: another library) registered it
    done = python(
        "import torch; other = torch.library.Library('torchvision', 'DEF');"
        "other.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor');"
        "import mep.machine.libraries as ops; print(ops.declare_missing_operators(), ops._declared)"
    )
    assert done.stdout.strip() == "False []", done.stderr


def test_nothing_is_declared_where_the_extension_loads(monkeypatch):
    import mep.machine.libraries as ops

    monkeypatch.setattr(ops, "_declared", [])
    monkeypatch.setattr(ops, "_extension_loads", lambda: True)
    assert ops.declare_missing_operators() is False
    assert ops._declared == []


def test_declaring_twice_is_declaring_once():
    done = python(
        "import mep.machine.libraries as ops; ops.declare_missing_operators(); n = len(ops._declared);"
        "ops.declare_missing_operators(); print(len(ops._declared) - n)"
    )
    assert done.stdout.strip() == "0", done.stderr


def test_what_an_uninstalled_package_has_left_behind_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "gone" / "__pycache__").mkdir(parents=True)  # numba keeps its caches there
    (tmp_path / "there.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert [libraries.is_installed(package) for package in ("gone", "there", "nowhere")] == [False, True, False]
