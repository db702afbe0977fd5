"""Making, exporting and measuring models; nothing here is imported at run time."""
