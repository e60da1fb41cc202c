"""Training: one flat loop, the configuration that decides it, and the state that lets it go on.

Read `loop.py` first; it names everything else.
"""
