"""Capture, with a real RTSP server, real folders and films that the tests make."""
