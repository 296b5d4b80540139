"""Release packages as sealed files: built reproducibly, read strictly, kept by digest."""
