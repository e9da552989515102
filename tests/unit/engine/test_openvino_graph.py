"""Exported graphs: read for one clip, with float32 frames in place of the cast of uint8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twinpath.engine.openvino_graph import read_graph
from twinpath.engine.openvino_import import ov
from twinpath.errors import UnknownWeightFormat, WeightsMismatch
from twinpath.models.input_spec import InputSpec
from twinpath.zoo.records import record

SPEC = InputSpec(num_frames=2, sampling_rate=1, short_side_px=4, crop_px=4)


def graph(path: Path, *, dtype: ov.Type = ov.Type.u8, is_cast: bool = True) -> Path:
    """Of the mean of all values ("scores") and the mean of each channel ("embeddings")."""
    frames = ov.opset13.parameter([-1, 2, 4, 4, 3], dtype, "frames")
    frames.output(0).set_names({"frames"})
    values = ov.opset13.convert(frames, "f32") if is_cast else frames
    outputs = []
    for name, axes in (("scores", [1, 2, 3, 4]), ("embeddings", [1, 2, 3])):
        result = ov.opset13.reduce_mean(values, np.array(axes), keep_dims=False)
        result.output(0).set_names({name})
        outputs.append(result.output(0))
    ov.save_model(ov.Model(outputs, [frames], "graph"), path, compress_to_fp16=False)
    return path


@pytest.mark.parametrize(("dtype", "is_cast"), [(ov.Type.u8, True), (ov.Type.f32, False)])
def test_frames_are_float32_and_nothing_is_rounded(tmp_path: Path, dtype: ov.Type, is_cast: bool) -> None:
    path = graph(tmp_path / "model.xml", dtype=dtype, is_cast=is_cast)
    frames = np.full((1, 2, 4, 4, 3), [0.25, 0.5, 100.5], dtype=np.float32)
    for output, expected in (("scores", [33.75]), ("embed", [[0.25, 0.5, 100.5]])):
        model = read_graph(path, SPEC, output=output)  # type: ignore[arg-type]
        assert [tuple(node.get_shape()) for node in model.inputs] == [(1, 2, 4, 4, 3)]
        (found,) = (
            ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([frames]).values()
        )
        assert found == pytest.approx(np.array(expected), abs=1e-5)


def test_files_that_are_no_such_graph(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("no graph")
    with pytest.raises(UnknownWeightFormat, match=r"model\.onnx is no graph that OpenVINO reads"):
        read_graph(tmp_path / "model.onnx", SPEC, output="scores")
    path = graph(tmp_path / "model.xml")
    with pytest.raises(WeightsMismatch, match=r"has the inputs frames and outputs .*, not frames and boxes"):
        read_graph(path, SPEC, output="boxes")
    path = graph(tmp_path / "uncast.xml", is_cast=False)
    with pytest.raises(WeightsMismatch, match="its frames are u8 and go into ReduceMean, not into a cast"):
        read_graph(path, SPEC, output="scores")


def test_a_record_of_this_package_has_a_graph() -> None:
    for name, is_there in (("slowfast_tiny.synthetic", True), ("x3d_s.ptv_k400", False)):
        path = record(name).embedded_graph
        assert (path is not None and path.is_file()) == is_there
