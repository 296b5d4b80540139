"""How it is done: one file or folder a technology, each the only importer of it."""
