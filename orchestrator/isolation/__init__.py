"""The one way to start a process that runs code of a project: in a view of its own, where the machine can do that.

Each process gets a `View`: what it may read and write. With bubblewrap or user namespaces it finds nothing else of the
machine, has temporary folders and a process namespace of its own, and no process of it outlives it. Where the machine
has neither, the process starts as it is; `find` decides which of them applies.

It needs the standard library only, apart from `find`: the supervisor of every job starts here.
"""
