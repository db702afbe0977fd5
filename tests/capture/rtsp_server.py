"""A real RTSP server for the tests, by GStreamer. Runs with the system's Python, whose packages come from Debian.

Usage: rtsp_server.py PORT CLIP.mp4 [USER PASSWORD]. Prints READY; serves /live and /mjpeg (endless) and /clip (ends).
"""

# ruff: noqa: E402
from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

_BALL = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=640,height=360,framerate=15/1"
_MOUNTS = {
    "/live": f"( {_BALL} ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 "
    "config-interval=1 )",
    "/mjpeg": f"( {_BALL} ! jpegenc ! rtpjpegpay name=pay0 )",
    "/clip": "( filesrc location={clip} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 )",
}


def main(port: str, clip: str, *login: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    for path, launch in _MOUNTS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch.format(clip=clip))
        factory.set_shared(True)
        if login:
            rights = GstRtspServer.RTSPPermissions()
            for right in ("media.factory.access", "media.factory.construct"):
                rights.add_permission_for_role("viewer", right, True)
            factory.set_permissions(rights)
        server.get_mount_points().add_factory(path, factory)
    if login:
        auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*login), token)
        server.set_auth(auth)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    print("READY", flush=True)
    GLib.MainLoop().run()


main(*sys.argv[1:])
