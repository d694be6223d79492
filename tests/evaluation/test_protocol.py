"""Two numbers are compared only when everything they rest on is the same."""

from mep.evaluation.protocol import unlike

ROW = {"metric": "fd", "value": 1.0, "n_real": 100, "n_fake": 100, "digest": "a", "settings": {"kind": "frechet"}}


def test_numbers_of_one_protocol_are_alike_whatever_their_values_and_sampler():
    assert unlike(ROW, ROW | {"value": 2.0, "sampler": {"kind": "ddim"}, "guidance": 3.0}) == []


def test_every_difference_is_named():
    other = ROW | {"n_fake": 90, "digest": "b", "settings": {"kind": "frechet", "k": 1}}
    assert unlike(ROW, other) == [
        "the weights of the extractor",
        "the number of generated images",
        "the settings of the score",
    ]
