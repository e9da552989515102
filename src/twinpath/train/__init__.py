"""Training by a recipe, with Lightning."""

from twinpath.paths import keep_caches_here

keep_caches_here()  # before Lightning is imported, which imports matplotlib
