"""How fast Twinpath is on this machine, alone or side by side with PyTorchVideo.

    python -m benchmarks [--quick] [--only GROUP] [--peer]

The way through the files: `__main__` asks each group of `commands` and `warm` for its figures and
`report` writes them down, with the judgement of `bars`. What is measured runs in processes of its own:
`ours` is Twinpath, `peer` and `tutorial` are PyTorchVideo, `worker` talks with them.
"""
