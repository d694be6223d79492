"""Ways to get a recipe wrong, and what a person reads then: where, what was found, what is wanted, what to do."""

# ruff: noqa: E501  a message stands here as it is read, on one line however long

from pathlib import Path

import pytest

import mep
from mep.errors import RecipeError
from mep.methods import families
from mep.recipe import load_recipe
from mep.recipe.model import Experiment, RecipeFile
from mep.recipe.wording import choices, wanted
from mep.stages.clustering import ClusteringConfig
from mep.stages.training.config import TrainingConfig

GOOD = """\
name: chest
modality: histopathology
dataset: {source: sample, label: stain}
clustering:
  method: {kind: kmeans, k: 8}
training:
  base: {kind: scratch}
  steps: 100
arms:
  label-only:
    prompts: {template: "{label} tissue"}
  mep: {}
"""
CASES = []


def case(name: str, written: str = "", instead: str = "", *, override: str = "", gives: str) -> None:
    """A recipe in which something is written `instead` of what is good, or a good one with an override."""
    overrides = [override] if override else []
    CASES.append(pytest.param(written, instead, overrides, gives.strip("\n"), id=name))


def known_words() -> dict[str, str]:
    """What stands for words that grow with mep: every new method is one more."""
    words = {f"<{name}>": ", ".join(choices(family)) for name, family in families().items()}
    words |= {f"<{wanted(family).partition(' (')[0]}>": wanted(family) for family in families().values()}
    for name, config in {
        "recipe": RecipeFile,
        "experiment": Experiment,
        "training": TrainingConfig,
        "clustering": ClusteringConfig,
    }.items():
        words[f"<{name}>"] = ", ".join(sorted(config.model_fields))
    return {**words, "<folder>": str(Path.cwd()), "<version>": mep.__version__}


case(
    "a_kind_is_misspelt",
    "kind: kmeans",
    "kind: kmaens",
    gives="""
chest.yaml:5:18  clustering.method.kind: 'kmaens' is not a clusterer
      method: {kind: kmaens, k: 8}
                     ^
    did you mean 'kmeans'?  known: <clusterers>
""",
)
case(
    "a_kind_in_short_form_is_misspelt",
    "{source: sample,",
    "{source: smaple,",
    gives="""
chest.yaml:3:19  dataset.source: 'smaple' is not a source
    dataset: {source: smaple, label: stain}
                      ^
    did you mean 'sample'?  known: <sources>
""",
)
case(
    "a_kind_is_a_number",
    "kind: kmeans",
    "kind: 3",
    gives="""
chest.yaml:5:18  clustering.method.kind: 3 is not a clusterer
      method: {kind: 3, k: 8}
                     ^
    known: <clusterers>
""",
)
case(
    "a_kind_is_missing",
    "{kind: scratch}",
    "{resolution: 64}",
    gives="""
chest.yaml:7:3  training.base.kind: missing, wanted <a base>
      base: {resolution: 64}
      ^
""",
)
case(
    "a_method_is_a_number",
    "{kind: kmeans, k: 8}",
    "8",
    gives="""
chest.yaml:5:11  clustering.method: found 8, wanted <a clusterer>
      method: 8
              ^
""",
)
case(
    "a_method_is_left_empty",
    "method: {kind: kmeans, k: 8}",
    "method:",
    gives="""
chest.yaml:5:10  clustering.method: found nothing, wanted <a clusterer>
      method:
             ^
""",
)
case(
    "a_key_is_misspelt",
    "steps: 100",
    "steps: 100\n  batchsize: 8",
    gives="""
chest.yaml:9:3  training.batchsize: unknown key
      batchsize: 8
      ^
    did you mean 'global_batch_size'?  known: <training>
""",
)
case(
    "a_key_belongs_one_level_down",
    "  method: {kind: kmeans, k: 8}",
    "  k: 8",
    gives="""
chest.yaml:5:3  clustering.k: unknown key
      k: 8
      ^
    it belongs to clustering.method
""",
)
case(
    "a_key_of_several_sections_belongs_further_down",
    "name: chest",
    "name: chest\ngeneration: {steps: 30}",
    gives="""
chest.yaml:2:14  generation.steps: unknown key
    generation: {steps: 30}
                 ^
    it belongs to generation.sampler
""",
)
case(
    "a_key_belongs_to_another_section",
    "name: chest",
    "name: chest\nlabel: stain",
    gives="""
chest.yaml:2:1  label: unknown key
    label: stain
    ^
    it belongs to dataset
""",
)
case(
    "a_key_belongs_to_another_kind",
    "kind: kmeans, k: 8",
    "kind: hdbscan, k: 8",
    gives="""
chest.yaml:5:27  clustering.method.k: unknown key
      method: {kind: hdbscan, k: 8}
                              ^
    it belongs to agglomerative, gmm, kmeans, minibatch_kmeans or spherical_kmeans  known: kind, min_cluster_size, min_samples, noise
""",
)
case(
    "a_section_is_misspelt",
    "clustering:",
    "clustring:",
    gives="""
chest.yaml:4:1  clustring: unknown key
    clustring:
    ^
    did you mean 'clustering'?  known: <recipe>
""",
)
case(
    "a_key_is_missing",
    "  steps: 100\n",
    "",
    gives="""
chest.yaml:6:1  training.steps: missing, wanted an integer >= 1
    training:
    ^
    Optimizer steps.
""",
)
case(
    "a_section_is_missing",
    "training:\n  base: {kind: scratch}\n  steps: 100\n",
    "",
    gives="""
chest.yaml:1:1  training.base: missing, wanted <a base>
chest.yaml:1:1  training.steps: missing, wanted an integer >= 1
    Optimizer steps.
""",
)
case(
    "the_name_is_missing",
    "name: chest\n",
    "",
    gives="""
chest.yaml:1:1  name: missing, wanted text
    Name of the experiment: letters, digits, dots, dashes and underscores.
""",
)
case(
    "a_number_is_too_small",
    "steps: 100",
    "steps: 0",
    gives="""
chest.yaml:8:10  training.steps: found 0, wanted an integer >= 1
      steps: 0
             ^
""",
)
case(
    "a_number_is_too_large",
    "name: chest",
    "name: chest\ngeneration: {guidance: 70}",
    gives="""
chest.yaml:2:24  generation.guidance: found 70, wanted a number >= 0 and <= 50
    generation: {guidance: 70}
                           ^
""",
)
case(
    "a_number_in_a_list_is_too_small",
    "name: chest",
    "name: chest\nmetrics: {scores: [kid, {kind: prdc, k_pr: 0}]}",
    gives="""
chest.yaml:2:44  metrics.scores.1.k_pr: found 0, wanted an integer >= 1
    metrics: {scores: [kid, {kind: prdc, k_pr: 0}]}
                                               ^
""",
)
case(
    "a_number_is_text",
    "steps: 100",
    "steps: many",
    gives="""
chest.yaml:8:10  training.steps: found 'many', wanted an integer >= 1
      steps: many
             ^
""",
)
case(
    "an_integer_has_a_fraction",
    "steps: 100",
    "steps: 2.5",
    gives="""
chest.yaml:8:10  training.steps: found 2.5, wanted an integer >= 1
      steps: 2.5
             ^
""",
)
case(
    "a_number_is_a_boolean",
    "steps: 100",
    "steps: true",
    gives="""
chest.yaml:8:10  training.steps: found true, wanted an integer >= 1
      steps: true
             ^
""",
)
case(
    "a_number_is_not_finite",
    "steps: 100",
    "steps: 100\n  learning_rate: .nan",
    gives="""
chest.yaml:9:18  training.learning_rate: found nan, wanted a number > 0 and < 1
      learning_rate: .nan
                     ^
""",
)
case(
    "a_number_has_too_many_digits",
    "steps: 100",
    "steps: " + 401 * "1",
    gives="""
chest.yaml:8:10  a number of 401 characters
      steps: 111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111…
             ^
    put it in quotes if it is text
""",
)
case(
    "text_is_a_number",
    "label: stain",
    "label: 0123",
    gives="""
chest.yaml:3:34  dataset.label: found 123, wanted text or null
    dataset: {source: sample, label: 0123}
                                     ^
    put it in quotes to make it text
""",
)
case(
    "text_in_braces_is_not_quoted",
    "name: chest",
    "name: chest\nprompts: {template: {label}}",
    gives="""
chest.yaml:2:21  prompts.template: found a mapping, wanted text of 1 to 1000 characters (in arm mep)
    prompts: {template: {label}}
                        ^
    put text that holds braces or brackets in quotes
""",
)
case(
    "text_after_braces_is_not_quoted",
    '"{label} tissue"',
    "{label} tissue",
    gives="""
chest.yaml:11:33  not YAML: expected ',' or '}', but got '<scalar>' while parsing a flow mapping
        prompts: {template: {label} tissue}
                                    ^
    put text that holds braces or brackets in quotes
""",
)
case(
    "a_choice_is_misspelt",
    "steps: 100",
    "steps: 100\n  schedule: cosin",
    gives="""
chest.yaml:9:13  training.schedule: found 'cosin', wanted constant, linear or cosine
      schedule: cosin
                ^
    did you mean 'cosine'?
""",
)
case(
    "a_list_is_one_item",
    "name: chest",
    "name: chest\nmetrics: {scores: kid}",
    gives="""
chest.yaml:2:19  metrics.scores: found 'kid', wanted a list of at least 1 item
    metrics: {scores: kid}
                      ^
    put a single item in brackets, too
""",
)
case(
    "a_list_is_empty",
    "name: chest",
    "name: chest\nmetrics: {scores: []}",
    gives="""
chest.yaml:2:19  metrics.scores: found an empty list, wanted a list of at least 1 item
    metrics: {scores: []}
                      ^
""",
)
case(
    "the_only_item_of_a_list_is_misspelt",
    "name: chest",
    "name: chest\nmetrics: {scores: [kdi]}",
    gives="""
chest.yaml:2:20  metrics.scores.0: 'kdi' is not a score
    metrics: {scores: [kdi]}
                       ^
    did you mean 'kid'?  known: <scores>
""",
)
case(
    "a_section_is_left_empty",
    "name: chest",
    "name: chest\ngeneration:",
    gives="""
chest.yaml:2:12  generation: found nothing, wanted a mapping
    generation:
               ^
""",
)
case(
    "a_slot_is_misspelt",
    '"{label} tissue"',
    '"{lable} tissue"',
    gives="""
chest.yaml:11:25  arms.label-only.prompts.template: no slot 'lable'
        prompts: {template: "{lable} tissue"}
                            ^
    did you mean 'label'?  known: cluster, label
""",
)
case(
    "a_format_is_unknown",
    '"{label} tissue"',
    '"{label:uper} tissue"',
    gives="""
chest.yaml:11:25  arms.label-only.prompts.template: slot 'label' has no format 'uper'
        prompts: {template: "{label:uper} tissue"}
                            ^
    known: lower, name, title
""",
)
case(
    "a_brace_is_not_closed",
    '"{label} tissue"',
    '"{label tissue"',
    gives="""
chest.yaml:11:25  arms.label-only.prompts.template: braces do not match: expected '}' before end of string
        prompts: {template: "{label tissue"}
                            ^
""",
)
case(
    "the_template_needs_labels_that_are_not_there",
    ", label: stain",
    "",
    gives="""
chest.yaml:2:11  prompts.template: the template names {label}, but dataset.label is not set (set by modality histopathology) (in arm mep)
    modality: histopathology
              ^
    name the label column in dataset.label, or take {label} out
chest.yaml:11:25  arms.label-only.prompts.template: the template names {label}, but dataset.label is not set
        prompts: {template: "{label} tissue"}
                            ^
    name the label column in dataset.label, or take {label} out
""",
)
case(
    "an_arm_takes_the_labels_away",
    "mep: {}",
    "mep: {dataset: {label: null}}",
    gives="""
chest.yaml:2:11  prompts.template: the template names {label}, but dataset.label is not set (set by modality histopathology) (in arm mep)
    modality: histopathology
              ^
    name the label column in dataset.label, or take {label} out
""",
)
case(
    "a_path_does_not_exist",
    "{kind: scratch}",
    "{kind: pretrained, path: models/sd}",
    gives="""
chest.yaml:7:34  training.base.path: '<folder>/models/sd' does not exist
      base: {kind: pretrained, path: models/sd}
                                     ^
    a path starts at the recipe's folder
""",
)
case(
    "a_home_folder_is_named",  # a recipe cannot read the environment, the home folder neither
    "{kind: scratch}",
    "{kind: pretrained, path: ~/sd}",
    gives="""
chest.yaml:7:34  training.base.path: '<folder>/~/sd' does not exist
      base: {kind: pretrained, path: ~/sd}
                                     ^
    a path starts at the recipe's folder
""",
)
case(
    "a_model_has_no_place",
    "{kind: scratch}",
    "{kind: pretrained}",
    gives="""
chest.yaml:7:9  training.base: give either id (on the hub) or path (on this machine)
      base: {kind: pretrained}
            ^
""",
)
case(
    "two_ways_to_hold_out_are_mixed",
    "label: stain}",
    "label: stain, holdout: {splits: [test], fraction: 0.2}}",
    gives="""
chest.yaml:3:50  dataset.holdout: name splits or a fraction, not both
    dataset: {source: sample, label: stain, holdout: {splits: [test], fraction: 0.2}}
                                                     ^
""",
)
case(
    "the_embedder_measures_its_own_clusters",
    "name: chest",
    "name: chest\nmetrics: {extractors: [handcrafted]}",
    gives="""
chest.yaml:2:23  metrics.extractors: 'handcrafted' also makes the clusters: distances in its own space favour captions made from it
    metrics: {extractors: [handcrafted]}
                          ^
    measure in another extractor
""",
)
case(
    "a_sampler_cannot_begin_where_the_model_does",
    "name: chest",
    "name: chest\ngeneration: {sampler: {kind: pndm, steps: 50}}",
    gives="""
chest.yaml:2:23  generation.sampler: sampler pndm cannot begin at pure noise, as this model's schedule does
    generation: {sampler: {kind: pndm, steps: 50}}
                          ^
    dpmsolver++, ddim and unipc fit every model
""",
)
case(
    "every_prompt_gets_no_image",
    "name: chest",
    "name: chest\ngeneration: {allocation: {kind: table, images: {cancer_c01: 0}}}",
    gives="""
chest.yaml:2:48  generation.allocation.images: every number is 0: no image would be made
    generation: {allocation: {kind: table, images: {cancer_c01: 0}}}
                                                   ^
""",
)
case(
    "a_device_is_unknown",
    "name: chest",
    "name: chest\nmachine: {device: gpu}",
    gives="""
chest.yaml:2:19  machine.device: 'gpu' does not fit
    machine: {device: gpu}
                      ^
    Where models run: cpu, cuda, cuda:1, mps, or auto for the best that is there.
""",
)
case(
    "the_name_has_a_space",
    "name: chest",
    "name: my chest",
    gives="""
chest.yaml:1:7  name: 'my chest' does not fit
    name: my chest
          ^
    Name of the experiment: letters, digits, dots, dashes and underscores.
""",
)
case(
    "the_name_has_terminal_codes",
    "name: chest",
    'name: "[red]x\\e[31m"',
    gives=r"""
chest.yaml:1:7  name: '[red]x\x1b[31m' does not fit
    name: "[red]x\e[31m"
          ^
    Name of the experiment: letters, digits, dots, dashes and underscores.
""",
)
case(
    "the_modality_is_unknown",
    "histopathology",
    "histology",
    gives="""
chest.yaml:2:11  modality: found 'histology', wanted generic, histopathology or cxr
    modality: histology
              ^
    did you mean 'histopathology'?
""",
)
case(
    "the_format_is_newer",
    "name: chest",
    "mep: 3\nname: chest\ntelepathy: on",
    gives="""
chest.yaml:1:6  mep: found 3, wanted 2: the recipe format that mep <version> reads
    mep: 3
         ^
    pip install --upgrade mep
""",
)
case(
    "the_format_is_older",
    "name: chest",
    "mep: 1\nname: chest\ngeneration: {images: per_prompt}",
    gives="""
chest.yaml:1:6  mep: found 1, wanted 2: the recipe format that mep <version> reads
    mep: 1
         ^
    write mep: 2
""",
)
case(
    "the_format_is_no_number",
    "name: chest",
    "mep: one\nname: chest",
    gives="""
chest.yaml:1:6  mep: found 'one', wanted 2: the recipe format that mep <version> reads
    mep: one
         ^
    write mep: 2
""",
)
case(
    "arms_are_a_list",
    'arms:\n  label-only:\n    prompts: {template: "{label} tissue"}\n  mep: {}\n',
    "arms: [a, b]\n",
    gives="""
chest.yaml:9:7  arms: found a list, wanted a mapping from names to what changes
    arms: [a, b]
          ^
""",
)
case(
    "an_arm_is_left_empty",
    "mep: {}",
    "mep:",
    gives="""
chest.yaml:12:7  arms.mep: found nothing, wanted a mapping of what changes
      mep:
          ^
    write {} for an arm that changes nothing
""",
)
case(
    "an_arm_has_a_bad_name",
    "mep: {}",
    "my arm: {}",
    gives="""
chest.yaml:12:3  arms: 'my arm' cannot name an arm
      my arm: {}
      ^
    up to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit
""",
)
case(
    "an_arm_changes_the_machine",
    "mep: {}",
    "mep: {machine: {device: cpu}}",
    gives="""
chest.yaml:12:9  arms.mep.machine: is the same for all arms
      mep: {machine: {device: cpu}}
            ^
    move it to the top of the recipe
""",
)
case(
    "an_arm_has_an_unknown_key",
    "mep: {}",
    "mep: {cluster: {method: none}}",
    gives="""
chest.yaml:12:9  arms.mep.cluster: unknown key
      mep: {cluster: {method: none}}
            ^
    did you mean 'clustering'?  known: <experiment>
""",
)
case(
    "an_arm_has_a_number_too_small",
    "mep: {}",
    "mep: {clustering: {method: {k: 1}}}",
    gives="""
chest.yaml:12:34  arms.mep.clustering.method.k: found 1, wanted an integer >= 2
      mep: {clustering: {method: {k: 1}}}
                                     ^
""",
)
case(
    "an_override_is_too_small",
    override="training.steps=0",
    gives="""
--set training.steps=0  training.steps: found 0, wanted an integer >= 1
""",
)
case(
    "an_override_has_an_unknown_key",
    override="trainin.steps=3",
    gives="""
--set trainin.steps=3  trainin: unknown key
    did you mean 'training'?  known: <recipe>
""",
)
case(
    "an_override_has_no_value",
    override="training.steps",
    gives="""
--set training.steps  wanted field=value, such as training.steps=100
""",
)
case(
    "an_override_reaches_into_a_list",
    override="metrics.scores.0.kind=kid",
    gives="""
--set metrics.scores.0.kind=kid  a list is set as a whole
    as in metrics.scores=[kid, prdc]
""",
)
case(
    "an_override_is_not_yaml",
    override="metrics.scores=[kid",
    gives="""
--set metrics.scores=[kid  not YAML: expected ',' or ']', but got '<stream end>' while parsing a flow sequence
    a bracket or a brace is not closed
""",
)
case(
    "an_override_of_an_arm_is_too_small",
    override="arms.mep.training.steps=0",
    gives="""
--set arms.mep.training.steps=0  arms.mep.training.steps: found 0, wanted an integer >= 1
""",
)
case(
    "the_file_is_empty",
    GOOD,
    "# nothing yet\n",
    gives="""
chest.yaml:1:1  the recipe is empty
    # nothing yet
    ^
    it reads  key: value  line by line, beginning with name, dataset and training
""",
)
case(
    "the_file_is_a_list",
    GOOD,
    "- name: chest\n",
    gives="""
chest.yaml:1:1  the recipe is not a mapping
    - name: chest
    ^
    it reads  key: value  line by line, beginning with name, dataset and training
""",
)
case(
    "a_second_document_begins",
    "arms:",
    "---\narms:",
    gives="""
chest.yaml:9:1  a second document begins here
    ---
    ^
    one file holds one recipe; use arms for variants
""",
)
case(
    "a_key_is_there_twice",
    "steps: 100",
    "steps: 100\n  steps: 200",
    gives="""
chest.yaml:9:3  the key 'steps' is here twice
      steps: 200
      ^
    first written at chest.yaml:8:3
""",
)
case(
    "a_tab_indents",
    "  steps: 100",
    "\tsteps: 100",
    gives="""
chest.yaml:8:1  a tab stands where YAML wants spaces
     steps: 100
    ^
    indent with spaces
""",
)
case(
    "an_indentation_is_off",
    "  steps: 100",
    " steps: 100",
    gives="""
chest.yaml:8:2  not YAML: expected <block end>, but found '<block mapping start>' while parsing a block mapping begun on line 1
     steps: 100
     ^
    check the indentation, and put text that holds braces or brackets in quotes
""",
)
case(
    "a_colon_is_not_quoted",
    "name: chest",
    "name: chest\ndescription: does it help: yes",
    gives="""
chest.yaml:2:26  not YAML: mapping values are not allowed here
    description: does it help: yes
                             ^
    put text that holds ': ' in quotes, or check the indentation
""",
)
case(
    "a_quote_is_not_closed",
    '"{label} tissue"',
    '"{label} tissue',
    gives="""
chest.yaml:13:1  not YAML: found unexpected end of stream while scanning a quoted scalar begun on line 11
    a quote is not closed
""",
)
case(
    "a_tag_asks_for_code",
    "steps: 100",
    "steps: !!python/object/apply:os.system [ls]",
    gives="""
chest.yaml:8:10  the tag '!!python/object/apply:os.system' is not read
      steps: !!python/object/apply:os.system [ls]
             ^
    a recipe is plain data; take the tag out
""",
)
case(
    "an_alias_has_no_anchor",
    "steps: 100",
    "steps: *n",
    gives="""
chest.yaml:8:10  *n stands for nothing
      steps: *n
             ^
    an anchor &n has to be complete before it
""",
)
case(
    "a_merge_key_is_used",
    "steps: 100",
    "steps: 100\n  <<: {}",
    gives="""
chest.yaml:9:3  merge keys (<<) are not read
      <<: {}
      ^
    write the fields out; arms share what they can
""",
)
case(
    "a_control_character_slipped_in",
    "steps: 100",
    "steps: 100\x01",
    gives="""
chest.yaml:8:13  the character 0x1 is not allowed in YAML
      steps: 100
                ^
    delete it, or write it as an escape in quotes
""",
)
case(
    "an_escape_is_half_a_character",
    "name: chest",
    'name: "\\ud800"',
    gives=r"""
chest.yaml:1:7  \ud800 is half a character
    name: "\ud800"
          ^
    write the character itself
""",
)
case(
    "an_escape_is_no_character",
    "name: chest",
    'name: "\\Uffffffff"',
    gives=r"""
chest.yaml:1:10  an escape or a version that names no character and no number
    name: "\Uffffffff"
             ^
""",
)

case(
    "an_extended_file_is_not_there",
    "name: chest",
    "name: chest\nextends: base.yaml",
    gives="""
chest.yaml:2:10  extends: 'base.yaml' does not exist
    extends: base.yaml
             ^
    a recipe extends files that lie in its folder or below, named from where it lies
""",
)
case(
    "an_extended_file_lies_outside",
    "name: chest",
    "name: chest\nextends: [../../../../../../../../etc/hostname]",
    gives="""
chest.yaml:2:11  extends: '../../../../../../../../etc/hostname' lies outside the recipe's folder
    extends: [../../../../../../../../etc/hostname]
              ^
    a recipe extends files that lie in its folder or below, named from where it lies
""",
)
case(
    "an_extended_file_is_named_absolutely",
    "name: chest",
    "name: chest\nextends: /etc/hostname",
    gives="""
chest.yaml:2:10  extends: '/etc/hostname' lies outside the recipe's folder
    extends: /etc/hostname
             ^
    a recipe extends files that lie in its folder or below, named from where it lies
""",
)
case(
    "a_recipe_extends_itself",
    "name: chest",
    "name: chest\nextends: chest.yaml",
    gives="""
chest.yaml:2:10  extends: 'chest.yaml' extends itself: chest.yaml -> chest.yaml
    extends: chest.yaml
             ^
    a recipe extends files that lie in its folder or below, named from where it lies
""",
)
case(
    "what_is_extended_is_no_file",
    "name: chest",
    "name: chest\nextends: {file: base.yaml}",
    gives="""
chest.yaml:2:10  extends: found a mapping, wanted a file or a list of files
    extends: {file: base.yaml}
             ^
""",
)
case(
    "an_override_extends",
    override="extends=base.yaml",
    gives="""
--set extends=base.yaml  what a recipe extends is written in it
""",
)
case(
    "a_variable_is_misspelt",
    "steps: 100",
    "steps: ${vars.stps}\nvars: {steps: 100}",
    gives="""
chest.yaml:8:10  '${vars.stps}' stands for nothing
      steps: ${vars.stps}
             ^
    did you mean 'vars.steps'?  known: vars.steps
""",
)
case(
    "the_environment_is_asked_for",
    "name: chest",
    "name: chest\ndescription: at ${HOME}",
    gives="""
chest.yaml:2:14  '${HOME}' stands for nothing
    description: at ${HOME}
                 ^
    only ${vars.name} is filled in, from vars: of the recipe
""",
)
case(
    "a_variable_holds_another",
    "name: chest",
    "name: chest\nvars: {a: 1, b: '${vars.a}'}",
    gives="""
chest.yaml:2:17  vars.b: a variable cannot hold another
    vars: {a: 1, b: '${vars.a}'}
                    ^
""",
)
case(
    "a_variable_is_a_list",
    "name: chest",
    "name: chest\nvars: {a: [1]}",
    gives="""
chest.yaml:2:11  vars.a: wanted text of up to 1000 characters, a number, true or false
    vars: {a: [1]}
              ^
""",
)
case(
    "a_variable_is_filled_in_too_often",
    "name: chest",
    "name: chest\nvars: {a: " + "x" * 1000 + "}\ndescription: '" + "${vars.a}" * 11 + "'",
    gives="""
chest.yaml:3:14  is longer than 10,000 characters once filled in
    description: '${vars.a}${vars.a}${vars.a}${vars.a}${vars.a}${vars.a}${vars.a}${vars.a}${vars.a}${vars.a}${vars.a}'
                 ^
""",
)
case(
    "an_axis_has_no_values",
    "name: chest",
    "name: chest\nmatrix: {axes: {k: {field: clustering.method.k}}}",
    gives="""
chest.yaml:2:20  matrix.axes.k: wanted field and values, or variants
    matrix: {axes: {k: {field: clustering.method.k}}}
                       ^
""",
)
case(
    "a_field_of_a_matrix_is_misspelt",
    "name: chest",
    "name: chest\nmatrix: {axes: {k: {field: clustering.methd.k, values: [5, 10]}}}",
    gives="""
chest.yaml:2:57  arms.k-5.clustering.methd: unknown key
    matrix: {axes: {k: {field: clustering.methd.k, values: [5, 10]}}}
                                                            ^
    did you mean 'method'?  known: <clustering>
chest.yaml:2:60  arms.k-10.clustering.methd: unknown key
    matrix: {axes: {k: {field: clustering.methd.k, values: [5, 10]}}}
                                                               ^
    did you mean 'method'?  known: <clustering>
""",
)
case(
    "a_value_of_a_matrix_is_too_small",
    "name: chest",
    "name: chest\nmatrix: {axes: {k: {field: clustering.method.k, values: [1, 10]}}}",
    gives="""
chest.yaml:2:58  arms.k-1.clustering.method.k: found 1, wanted an integer >= 2
    matrix: {axes: {k: {field: clustering.method.k, values: [1, 10]}}}
                                                             ^
""",
)
case(
    "a_matrix_makes_too_many_arms",
    "name: chest",
    "name: chest\nmatrix: {axes: {a: {field: seed, values: &v ["
    + ", ".join(map(str, range(17)))
    + "]}, b: {field: clustering.method.k, values: *v}}}",
    gives="""
chest.yaml:2:10  matrix.axes: makes 289 combinations, at most 256 arms are run
    matrix: {axes: {a: {field: seed, values: &v [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]}, b: {field: clustering.method.k, values: *v}}}
             ^
""",
)
case(
    "an_excluded_axis_is_misspelt",
    "name: chest",
    "name: chest\nmatrix: {axes: {k: {field: clustering.method.k, values: [5, 10]}}, exclude: [{kk: 5}]}",
    gives="""
chest.yaml:2:79  matrix.exclude: 'kk' is not an axis
    matrix: {axes: {k: {field: clustering.method.k, values: [5, 10]}}, exclude: [{kk: 5}]}
                                                                                  ^
    did you mean 'k'?  known: k
""",
)
case(
    "an_excluded_value_is_not_on_its_axis",
    "name: chest",
    "name: chest\nmatrix: {axes: {k: {field: clustering.method.k, values: [5, 10]}}, exclude: [{k: 6}]}",
    gives="""
chest.yaml:2:82  matrix.exclude: 6 is not on the axis k
    matrix: {axes: {k: {field: clustering.method.k, values: [5, 10]}}, exclude: [{k: 6}]}
                                                                                     ^
    known: k-10, k-5
""",
)
case(
    "two_values_of_an_axis_look_the_same",
    "name: chest",
    "name: chest\nmatrix: {axes: {t: {field: prompts.template, values: [a b, a-b]}}}",
    gives="""
chest.yaml:2:60  matrix.axes.t: gives an arm the name t-a-b, as another value does
    matrix: {axes: {t: {field: prompts.template, values: [a b, a-b]}}}
                                                               ^
    name them yourself: variants: {NAME: {...}, ...}
""",
)
case(
    "a_variant_has_the_name_of_an_arm",
    "name: chest",
    "name: chest\nmatrix: {axes: {captions: {variants: {mep: {}}}}}",
    gives="""
chest.yaml:2:44  matrix: makes a second arm 'mep'
    matrix: {axes: {captions: {variants: {mep: {}}}}}
                                               ^
    give the arm, the axis or the variant another name
""",
)
case(
    "a_variant_changes_what_is_the_same_for_all",
    "name: chest",
    "name: chest\nmatrix: {axes: {captions: {variants: {fast: {machine: {device: cpu}}}}}}",
    gives="""
chest.yaml:2:46  matrix.machine: is the same for all arms
    matrix: {axes: {captions: {variants: {fast: {machine: {device: cpu}}}}}}
                                                 ^
    move it to the top of the recipe
""",
)
case(
    "too_many_seeds",
    "name: chest",
    "name: chest\nseeds: 101",
    gives="""
chest.yaml:2:8  seeds: found 101, wanted an integer >= 1 and <= 100
    seeds: 101
           ^
""",
)


@pytest.mark.parametrize(("written", "instead", "overrides", "gives"), CASES)
def test_the_message_says_where_and_what_to_do_when(written, instead, overrides, gives, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert written in GOOD
    Path("chest.yaml").write_text(GOOD.replace(written, instead, 1) if written else GOOD, encoding="utf-8")
    for placeholder, words in known_words().items():
        gives = gives.replace(placeholder, words)
    with pytest.raises(RecipeError) as caught:
        load_recipe("chest.yaml", overrides)
    assert str(caught.value) == gives


def test_the_good_recipe_is_good(tmp_path):
    (tmp_path / "chest.yaml").write_text(GOOD)
    assert list(load_recipe(tmp_path / "chest.yaml").arms) == ["label-only", "mep"]


def mistakes_of(path: Path, text: str | bytes, *overrides: str) -> list[str]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    return [f"{mistake.place}  {mistake.field}".removeprefix(f"{path.parent}/") for mistake in caught.value.mistakes]


def test_all_mistakes_are_told_at_once_from_top_to_bottom(tmp_path):
    text = GOOD.replace("kmeans", "kmaens").replace("100", "0").replace("mep: {}", "mep: {seed: -1}")
    assert mistakes_of(tmp_path / "chest.yaml", text, "training.global_batch_size=0", "x") == [
        "chest.yaml:5:18  clustering.method.kind",
        "chest.yaml:8:10  training.steps",
        "chest.yaml:12:15  arms.mep.seed",
        "--set x  ",
        "--set training.global_batch_size=0  training.global_batch_size",
    ]


def test_a_mistake_of_the_common_part_is_told_once_whatever_the_number_of_arms(tmp_path):
    text = GOOD.replace("100", "0") + "  third: {seed: 3}\n  fourth: {training: {global_batch_size: 4}}\n"
    assert mistakes_of(tmp_path / "chest.yaml", text) == ["chest.yaml:8:10  training.steps"]


def test_a_key_that_the_common_part_lacks_is_told_once_where_its_section_begins(tmp_path):
    text = GOOD.replace("  steps: 100\n", "") + "  third: {training: {global_batch_size: 4}}\n"
    assert mistakes_of(tmp_path / "chest.yaml", text) == ["chest.yaml:6:1  training.steps"]


def test_a_common_value_that_only_some_arms_use_names_them(tmp_path):
    text = GOOD.replace("mep: {}", "mep: {}\n  third: {}").replace("k: 8", "k: 1")
    text = text.replace("label-only:", "label-only:\n    clustering: {method: none}")
    (tmp_path / "chest.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"found 1, wanted an integer >= 2 \(in arm mep, third\)"):
        load_recipe(tmp_path / "chest.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: caf\xe9\n", "chest.yaml:1:10  is not UTF-8: byte 0xe9\n    save it as UTF-8"),
        (b"\xef\xbb\xbfname: a\n", "chest.yaml  begins with a byte order mark\n    save it as UTF-8 without BOM"),
        (b"#" * (1 << 20) + b"\n", "chest.yaml  is larger than 1 MiB"),
        (b"a: " + b"[" * 100, "chest.yaml:1:68  nested more than 64 deep"),
        (b"a: &a [*a]\n", "chest.yaml:1:8  *a stands for nothing"),
        (b"? [a]\n: b\n", "chest.yaml:1:3  a key is text"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_at_once(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    Path("chest.yaml").write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        load_recipe("chest.yaml")
    assert str(caught.value).startswith(message)


def test_a_file_that_is_not_there_is_a_mistake_too(tmp_path):
    with pytest.raises(RecipeError, match=r"nowhere.yaml  cannot be read: No such file or directory"):
        load_recipe(tmp_path / "nowhere.yaml")
    with pytest.raises(RecipeError, match=r"cannot be read: Is a directory"):
        load_recipe(tmp_path)


def test_aliases_count_as_often_as_they_are_used(tmp_path):
    # Ten to the sixth values in 200 bytes.
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)]
    (tmp_path / "chest.yaml").write_text("\n".join(lines))
    with pytest.raises(RecipeError, match="more than 10,000 values, aliases counted as often as they are used"):
        load_recipe(tmp_path / "chest.yaml")


def test_an_alias_repeats_a_value(tmp_path):
    text = GOOD.replace("label: stain", "label: &column stain, group: *column")
    (tmp_path / "chest.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "chest.yaml")
    assert recipe.arms["mep"].dataset.group == "stain"
    assert recipe.origins["mep"]["dataset.group"].column == text.splitlines()[2].index("&column") + 1


def test_a_second_kind_of_a_method_in_an_arm_has_no_fields_of_the_first(tmp_path):
    text = GOOD.replace("mep: {}", "mep: {clustering: {method: {kind: hdbscan}}}")
    (tmp_path / "chest.yaml").write_text(text)
    assert load_recipe(tmp_path / "chest.yaml").arms["mep"].clustering.method.dump()["kind"] == "hdbscan"
    assert mistakes_of(tmp_path / "chest.yaml", text, "clustering.method.k=5") == [
        "--set clustering.method.k=5  clustering.method.k"
    ]
