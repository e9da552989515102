"""Who is there: person detectors and trackers."""
