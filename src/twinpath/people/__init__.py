"""Person detectors and trackers."""
