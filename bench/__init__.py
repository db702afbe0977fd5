"""One file per figure in the README."""
