"""A deterministic simulation of several replicas, their database, the voice backend and the clients in one thread.

Run seeds with `python -m tests.simulation --seeds 1-100`; a failing seed is printed with the command that replays it.
"""
