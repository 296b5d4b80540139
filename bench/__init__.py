"""Measurements of ourselves beside the same work by hand, as ratios within one run."""
