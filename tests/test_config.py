import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from small_data import REPOSITORY

from mep.config import Config, LocalPath, canonical_json, digest, field_descriptions, fold, folder_digest, parts
from mep.machine.files import sha256_of
from mep.methods import families
from mep.methods.clusterers import Clusterer
from mep.methods.clusterers.kmeans import KMeans
from mep.registry import OneOf, kinds, members


class Model(Config):
    path: LocalPath
    """Where it lies."""


class Holder(Config):
    method: OneOf[Clusterer]
    more: tuple[Model, ...] = ()


def test_equal_data_has_one_text_and_one_digest():
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_a_path_is_resolved_against_the_recipe_and_written_relative_to_another_folder(tmp_path):
    model = Model.model_validate({"path": "data/x"}, context={"folder": tmp_path / "recipes"})
    assert model.path == tmp_path / "recipes" / "data" / "x"
    assert model.model_dump(context={"folder": tmp_path / "runs"})["path"] == "../recipes/data/x"


def test_where_a_file_lies_is_not_part_of_what_a_result_depends_on(tmp_path):
    here, there = (Model.model_validate({"path": name}, context={"folder": tmp_path}) for name in ("a", "b"))
    assert here.dump() == there.dump() == {"path": None}


def test_a_missing_path_is_a_mistake_only_where_it_must_exist(tmp_path):
    with pytest.raises(ValidationError, match="does not exist"):
        Model.model_validate({"path": "none"}, context={"folder": tmp_path, "paths_must_exist": True})
    assert Model.model_validate({"path": "none"}, context={"folder": tmp_path}).path == tmp_path / "none"


def test_a_folders_digest_sees_names_and_content_but_not_the_place(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("same")
    assert folder_digest(tmp_path / "one", sha256_of) == folder_digest(tmp_path / "two", sha256_of)
    (tmp_path / "two" / "a.txt").rename(tmp_path / "two" / "b.txt")
    assert folder_digest(tmp_path / "one", sha256_of) != folder_digest(tmp_path / "two", sha256_of)
    assert fold([("a", "1"), ("b", "2")]) == fold([("b", "2"), ("a", "1")])


def test_a_bare_word_is_short_for_a_method_without_other_fields():
    assert Holder.model_validate({"method": "none"}) == Holder.model_validate({"method": {"kind": "none"}})
    with pytest.raises(ValidationError, match=r"k\n.*required"):
        Holder.model_validate({"method": "kmeans"})


def test_parts_reach_configs_nested_in_fields_and_tuples():
    holder = Holder.model_validate({"method": {"kind": "kmeans", "k": 3}, "more": [{"path": "x"}]})
    assert [type(part) for part in parts(holder)] == [Holder, KMeans, Model]


def test_configs_are_frozen_and_refuse_unknown_keys():
    with pytest.raises(ValidationError, match="frozen"):
        KMeans(kind="kmeans", k=3).k = 4
    with pytest.raises(ValidationError, match="Extra inputs"):
        KMeans(kind="kmeans", k=3, kk=4)


def test_a_new_file_in_a_method_folder_is_a_new_kind():
    folder = Path(sys.modules[Clusterer.__module__].__file__).parent
    assert set(members(Clusterer)) == {path.stem for path in folder.glob("[a-z]*.py")}


def test_every_method_says_what_it_does_and_every_field_what_it_means():
    for family in families().values():
        for kind, member in members(family).items():
            assert member.__doc__, kind
            undescribed = set(member.model_fields) - {"kind"} - set(field_descriptions(member))
            sections = {name for name in undescribed if issubclass(type(member.model_fields[name].default), Config)}
            assert undescribed == sections, (kind, undescribed - sections)


def test_a_file_is_called_like_the_kind_that_it_defines():
    for family in families().values():
        assert tuple(members(family)) == kinds(family), family.__name__


def test_a_recipe_loads_the_methods_that_it_names_and_no_others():
    code = (
        "import sys; from mep.recipe import load_recipe; load_recipe('recipes/quickstart.yaml');"
        "print([name for name in sys.modules if name.startswith('mep.methods.clusterers.') and '._' not in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "['mep.methods.clusterers.kmeans']"
