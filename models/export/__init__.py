"""Checkpoints of transformers become ONNX files that `stream.infer` reads.

In: a local folder or hub id of Florence-2, SigLIP, SigLIP 2 (fixed resolution) or CLIP. Out: a folder with graphs,
configuration, tokenizer and `manifest.json`. Imports torch, transformers and onnx: it lives in the export environment
(`requirements/export.txt`), and `stream` never imports it. The modules are imported where they are used, so that
`python -m models.export --help` needs none of them.
"""
