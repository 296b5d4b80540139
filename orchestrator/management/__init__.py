"""Release management: what users plan, ranked, decided and booked, and what admission takes into account of it.

One folder or module for each noun, with its states, its records and its use cases. It asks `orchestrator.app` for
promotions and reads runs. `flow` and `app` never import it: admission asks it through a port.
"""
