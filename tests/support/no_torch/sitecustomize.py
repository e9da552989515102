"""Makes Python find neither torch nor what needs it, as in an environment with the core alone.

Python imports it at its start where its folder is on PYTHONPATH; see `tests.support.core_only`.
"""

import sys

MISSING = frozenset(
    [
        "functorch",
        "lightning",
        "lightning_utilities",
        "pytorch_lightning",
        "torch",
        "torchgen",
        "torchmetrics",
        "torchvision",
        "transformers",
        "triton",
        "safetensors",
        "huggingface_hub",
    ]
)


class Without:
    """A finder of modules that does not find some of them, nor their versions."""

    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if _is_missing(name) else self._finder.find_spec(name, path, target)

    def find_distributions(self, *context, **options):
        find = getattr(self._finder, "find_distributions", None)
        found = find(*context, **options) if find else ()
        return (one for one in found if not _is_missing(one.metadata["Name"]))

    def invalidate_caches(self):
        invalidate = getattr(self._finder, "invalidate_caches", None)
        if invalidate:
            invalidate()


def _is_missing(name):
    return name.partition(".")[0].replace("-", "_").lower() in MISSING


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
