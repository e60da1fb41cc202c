"""The demo: pre-train on the demo planet, evaluate, draw and report."""
