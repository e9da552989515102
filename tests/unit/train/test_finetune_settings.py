"""What is chosen where a user says nothing."""

from dataclasses import replace

import pytest

from twinpath.recognize.model import check_model
from twinpath.train.finetune.settings import choose_flip, choose_head
from twinpath.zoo.model_folder import read_model_folder
from twinpath.zoo.records import record


@pytest.mark.parametrize("label", ["turn left", "right hand", "turns clockwise", "turns anticlockwise"])
def test_labels_that_name_a_side_are_not_mirrored(label: str) -> None:
    assert not choose_flip(["walk", label], None)[0]


def test_other_labels_are_mirrored() -> None:
    assert choose_flip(["walk", "leftover food", "bright"], None)[0]


def test_a_small_network_sees_stages_unless_all_of_it_learns() -> None:
    facts = check_model("slowfast_tiny.synthetic", task="classification")
    assert choose_head(facts, method="head").value == "stages"
    assert choose_head(facts, method="full").value == "last"
    large = check_model("slowfast_r50_8x8", task="classification")
    assert choose_head(large, method="head").value == "last"


def test_a_model_with_such_a_layer_keeps_it() -> None:
    facts = check_model("slowfast_tiny.synthetic", task="classification")
    embedded = record("slowfast_tiny.synthetic").embedded_folder
    assert embedded is not None
    folder = read_model_folder(embedded)
    own = replace(facts, folder=replace(folder, card=replace(folder.card, head="stages")))
    assert choose_head(own, method="full").value == "stages"
