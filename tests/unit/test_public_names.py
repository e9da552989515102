"""The names that programs rely on. A change here is a change that users see: say so in CHANGELOG.md."""

from __future__ import annotations

import inspect
import subprocess
import sys

import twinpath


def test_the_public_names_are_these() -> None:
    assert twinpath.__all__ == [
        "Classifier",
        "Detector",
        "FeatureExtractor",
        "__version__",
        "create_model",
        "list_models",
        "load_weights",
    ]
    for name in twinpath.__all__:
        assert getattr(twinpath, name) is not None


def test_signatures_of_the_public_names() -> None:
    create = inspect.signature(twinpath.create_model).parameters
    assert next(iter(create)) == "name"
    for option, default in (("pretrained", False), ("num_classes", None), ("in_frames", None)):
        assert create[option].kind is inspect.Parameter.KEYWORD_ONLY
        assert create[option].default is default
    assert next(iter(inspect.signature(twinpath.list_models).parameters)) == "pattern"
    assert list(inspect.signature(twinpath.load_weights).parameters)[:2] == ["model", "path"]
    for users in (twinpath.Classifier, twinpath.FeatureExtractor):
        made = inspect.signature(users).parameters
        assert list(made)[:3] == ["model", "weights", "device"]
        assert made["weights"].default is None
        assert made["device"].default == "auto"


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(twinpath, "classifyer")


def test_importing_the_package_and_its_light_parts_imports_no_torch() -> None:
    code = (
        "import sys, twinpath, twinpath.cli.app, twinpath.labels, twinpath.video.decode, "
        "twinpath.zoo.create, twinpath.recognize.classifier, twinpath.recognize.features, "
        "twinpath.data.synthetic, twinpath.render.prediction_panel\n"
        "twinpath.list_models()\n"
        "twinpath.cli.app.make_app()\n"
        "print([m for m in ('torch', 'lightning', 'rich.table', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
