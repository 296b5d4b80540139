"""Change requests: the entries of the backlog, from a draft to the release that contains them."""
