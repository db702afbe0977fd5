"""What transformers answers, written down: the committed goldens that `stream.infer` must equal without torch.

In: nothing but seeds. Out: `tests/infer/goldens`: tiny random-weight models of the real architectures in every
layout, inputs and answers. Imports torch and transformers (the export environment). `python -m models.goldens
FOLDER` writes them; `python -m models.parity` proves that the committed ones are what this makes.

Tolerances: tokens, texts and parsed answers are identical between machines, floats agree within 1e-5. Token choices
are made stable on purpose: a model whose answers change when its weights move by one part in 1e5 is rejected.
"""
