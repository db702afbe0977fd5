"""The gate lab: labelled clips made from seeds, the detectors of others, and the score.

Enters: class names and seeds. Leaves: frames with true boxes (`clips`), boxes of each detector (`peers`) and figures
(`score`). May import numpy, OpenCV, PyAV and `stream.gate`. Everything is drawn by this project; nothing is filmed.
"""
