"""Enters: admitted frames and what is asked of them. Leaves: findings: objects, captions, text, vectors.

Florence-2 and SigLIP on ONNX Runtime, micro-batched over all sources by one scheduler, without torch or transformers.
May import `stream.types`, `stream.errors`, `stream.metrics`; onnxruntime only in `session`.
"""
