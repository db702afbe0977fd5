"""Decoding, with media that the tests make: nothing here comes from a file in the repository."""
