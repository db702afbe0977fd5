"""Training of the bundled demo models, on drawn scenes, in an environment of its own (requirements/train.txt).

In: seeds. Out: checkpoints in a work folder, which models/export_demo.py turns into ONNX files. May import
stream.capture.scenery, torch and transformers.
"""
