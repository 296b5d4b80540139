"""Release management: what users plan, ranked, decided and booked, and what admission takes into account of it.

One folder or module for each noun, with its states, its records and its use cases. It requests promotions of
`orchestrator.app` and reads runs. `flow` and `app` never import it: admission uses it through a port.
"""
