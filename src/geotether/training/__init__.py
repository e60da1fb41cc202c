"""Training: one flat loop, the methods that it trains, their configuration, and the state from which runs resume.

Read `loop.py` first; it refers to everything else.
"""
