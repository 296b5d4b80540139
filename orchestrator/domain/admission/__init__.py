"""Admission: whether a promotion may start, checked at submission, approval, start and every boundary of a run."""
