"""Mirrors `stream/`. `PATIENCE_S`: how long a test waits for what must happen before it says that it hangs; a machine that
is ten times slower than ours must not reach it."""

PATIENCE_S = 300.0
