"""Proof, live: the runtime answers as transformers does, and the committed goldens are what the script makes.

`python -m models.parity` in the export environment. Imports torch, transformers and `stream.infer`.
"""
