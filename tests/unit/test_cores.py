"""How many threads compute: quotas of containers, affinity and OMP_NUM_THREADS, on made-up machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from twinpath import cores
from twinpath.engine import openvino_engine
from twinpath.engine.config import EngineConfig

V2, V1 = "0::/a/b\n", "11:memory:/docker/f00\n4:cpu,cpuacct:/docker/f00\n1:name=systemd:/docker/f00\n"


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 16 cores, of which this process may use all."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def machine(folder: Path, files: dict[str, str]) -> Path:
    """A tree with these files below /proc and /sys."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 16),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 16),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "9900000 100000\n"}, 16),
        (
            {  # the tightest of a group and those above it
                "proc/self/cgroup": V2,
                "sys/fs/cgroup/a/cpu.max": "300000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "800000 100000",
            },
            3,
        ),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/a/b/cpu.max": "400000"}, 4),
        (
            {  # v1 on the host
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/f00/cpu.cfs_quota_us": "600000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/f00/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            },
            6,
        ),
        (
            {  # v1 in a container: the path is the host's, what is mounted is the container's group
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000\n",
            },
            3,
        ),
        ({"proc/self/cgroup": "nonsense\n::\n0:\n", "sys/fs/cgroup/cpu.max": "nonsense"}, 16),
        ({"proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/cpu.max": "0 0\n"}, 16),
    ],
)
def test_quotas_of_control_groups(
    sixteen: None, tmp_path: Path, files: dict[str, str], expected: int
) -> None:
    assert cores.available_cores(root=machine(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("wished", "expected"), [("3", 3), ("4,2", 4), ("99", 16), ("", 16), ("0", 16), ("-2", 16), ("all", 16)]
)
def test_the_environment_may_wish_for_fewer(
    sixteen: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wished: str, expected: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", wished)
    assert cores.available_cores(root=tmp_path) == expected
    assert cores.granted_cores(root=tmp_path) == 16


def test_cores_that_a_process_may_run_on(
    sixteen: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert cores.available_cores(root=tmp_path) == 2
    root = machine(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"})
    assert cores.available_cores(root=root) == 1


@pytest.mark.parametrize(("available", "decoder"), [(1, 1), (2, 3), (8, 9), (64, 16)])
def test_torch_openvino_and_the_decoder_use_as_many(
    sixteen: None, monkeypatch: pytest.MonkeyPatch, available: int, decoder: int
) -> None:
    for module in (cores, openvino_engine):
        monkeypatch.setattr(module, "available_cores", lambda: available)
    assert cores.decoder_threads() == decoder
    few = {"INFERENCE_NUM_THREADS": available} if available < 16 else {}
    assert openvino_engine.threads_property(EngineConfig()) == few
    assert openvino_engine.threads_property(EngineConfig(threads=7)) == {"INFERENCE_NUM_THREADS": 7}


def test_torch_uses_no_more_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from twinpath import device

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        monkeypatch.setattr(device, "available_cores", lambda: 2)
        device.use_threads()
        assert torch.get_num_threads() == 2
        device.use_threads(3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_video_is_decoded_with_as_many_threads(good_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from twinpath.video import source

    monkeypatch.setattr(source, "decoder_threads", lambda: 2)
    with source.open_video(good_video) as video:
        assert video.stream.codec_context.thread_count == 2
        video.use_one_thread()
        assert video.stream.codec_context.thread_count == 1


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 avx512f sse4_2 lm\nflags : again\n", "avx2 avx512f sse4_2"),
        ("Features\t: fp asimd sve bf16\n", "asimd bf16 sve"),
        ("", ""),
    ],
)
def test_what_a_cpu_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str, expected: str) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    root = machine(tmp_path, {"proc/cpuinfo": listed})
    assert cores.cpu_abilities(root=root) == expected
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert cores.cpu_abilities(root=root).split() == [*expected.split(), "AVX2"]


@pytest.mark.parametrize(
    ("flags", "limit", "expected"),
    [
        ("sse4_2 avx2 avx512f avx512bw", None, True),
        ("sse4_2 avx2 avx512f avx512bw", "", True),
        ("sse4_2 avx2 avx512f avx512bw", "AVX2", False),
        ("sse4_2 avx2 avx512f avx512bw", "avx512_core", True),
        ("sse4_2 avx2", None, False),
        ("", "ALL", False),
    ],
)
def test_avx512(
    flags: str, limit: str | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    root = machine(tmp_path, {"proc/cpuinfo": f"flags : fpu {flags}\n"} if flags else {})
    assert cores.has_avx512(root=root) is expected
