"""Obtains the services: Kafka's jars through Maven, Weaviate's server through the Go toolchain.

Neither names a registry: the user's own Maven and Go settings decide where artifacts come from, and both tools check
what they download (Maven against its checksums, Go against the checksum database). On top of that the result is run or
inspected once, and hashed, so that a half-written cache is never started.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

from tests.services.cache import TEMPLATES, Unobtainable, locked, root, say, stamp, stamped

WEAVIATE_VERSION = "1.39.0"
WEAVIATE_MODULE = "github.com/weaviate/weaviate"
JAVA_AT_LEAST = 17


def kafka_version() -> str:
    """The version that `services/pom.xml` names."""
    found = ElementTree.parse(TEMPLATES / "pom.xml").findtext("properties/kafka.version")
    if not found:
        raise Unobtainable("services/pom.xml names no kafka.version")
    return found


def lacking(service: str) -> str | None:
    """Why `service` ("kafka" or "weaviate") cannot be had here, or None. Does not use the network."""
    if service == "kafka":
        if shutil.which("java") is None:
            return f"no Java on the PATH (Java {JAVA_AT_LEAST} or later runs Kafka)"
        if not (_kafka_folder() / "stamp.json").exists() and shutil.which("mvn") is None:
            return "no Maven on the PATH (it copies Kafka's jars)"
        return None
    if not (_weaviate_folder() / "stamp.json").exists() and shutil.which("go") is None:
        return "no Go on the PATH (it builds Weaviate's server)"
    return None


def kafka_jars() -> Path:
    """The folder of Kafka's jars, obtained if it is not there yet (about 10 s). Raises Unobtainable."""
    version, folder = kafka_version(), _kafka_folder()
    with locked("kafka"):
        if not stamped(folder, version):
            _need_java()
            _copy_jars(folder, version)
    return folder


def weaviate_binary() -> Path:
    """Weaviate's server, built if it is not there yet (about 5 minutes, once). Raises Unobtainable."""
    folder = _weaviate_folder()
    binary = folder / "weaviate-server"
    with locked("weaviate"):
        if not stamped(folder, WEAVIATE_VERSION):
            if not binary.exists():
                _build(folder, binary)
            _verify_weaviate(binary)
            stamp(folder, WEAVIATE_VERSION, {binary.name: binary})
            say(f"weaviate {WEAVIATE_VERSION}: verified, {binary.stat().st_size // 1_000_000} MB in {folder}")
    return binary


def _kafka_folder() -> Path:
    return root() / f"kafka-{kafka_version()}"


def _weaviate_folder() -> Path:
    return root() / f"weaviate-{WEAVIATE_VERSION}"


def _need_java() -> None:
    if why := lacking("kafka"):
        raise Unobtainable(f"kafka: {why}")
    said = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(\d+)', said)
    if not found or int(found.group(1)) < JAVA_AT_LEAST:
        raise Unobtainable(f"kafka: needs Java {JAVA_AT_LEAST} or later, found: {said.splitlines()[:1]}")


def _copy_jars(folder: Path, version: str) -> None:
    say(f"kafka {version}: copying its jars with Maven (43 MB, about 10 s)")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-C", "-f", str(TEMPLATES / "pom.xml"), "dependency:copy-dependencies"]
    _run("kafka", [*command, f"-DoutputDirectory={unfinished}"], limit_s=900)
    said = subprocess.run(
        ["java", "-cp", f"{unfinished}/*", "kafka.Kafka", "--version"], capture_output=True, text=True, timeout=60
    )
    if not said.stdout.startswith(version):
        words = (said.stdout + said.stderr).strip()[-300:]
        raise Unobtainable(f"kafka: the jars do not say version {version}: {words}")
    jars = {jar.name: jar for jar in unfinished.glob("*.jar")}
    stamp(unfinished, version, jars)
    unfinished.rename(folder)
    say(f"kafka {version}: verified, {len(jars)} jars in {folder}")


def _build(folder: Path, binary: Path) -> None:
    if why := lacking("weaviate"):
        raise Unobtainable(f"weaviate: {why}")
    say(f"weaviate {WEAVIATE_VERSION}: building its server with Go (4 GB of temporary files, about 5 minutes, once)")
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / "build"  # own caches: 3.6 GB that nobody needs afterwards
    shutil.rmtree(work, ignore_errors=True)
    own = {"GOBIN": str(work / "bin"), "GOPATH": str(work / "path"), "GOCACHE": str(work / "cache")}
    try:
        target = f"{WEAVIATE_MODULE}/cmd/weaviate-server@v{WEAVIATE_VERSION}"
        _run("weaviate", ["go", "install", "-modcacherw", target], limit_s=3600, environment=own)
        (work / "bin" / binary.name).rename(binary)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _verify_weaviate(binary: Path) -> None:
    """Go writes the module and version into what it builds; the checksum database vouched for the module."""
    said = subprocess.run(["go", "version", "-m", str(binary)], capture_output=True, text=True)
    if f"mod\t{WEAVIATE_MODULE}\tv{WEAVIATE_VERSION}\t" not in said.stdout:
        binary.unlink()
        raise Unobtainable(f"weaviate: what was built is not v{WEAVIATE_VERSION}; removed, try again")


def _run(name: str, command: list[str], limit_s: float, environment: dict[str, str] | None = None) -> None:
    """Run a tool quietly, with a line every 30 s; its last words go into the error."""
    log = root() / f"{name}.log"
    started = time.monotonic()
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        try:
            while True:
                try:
                    code = process.wait(timeout=30)
                    break
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                    say(f"{name}: {elapsed:.0f} s, {_last_line(log)}")
                    if elapsed > limit_s:
                        raise Unobtainable(f"{name}: not done after {limit_s:.0f} s; see {log}") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if code:
        tail = " | ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        raise Unobtainable(f"{name}: {command[0]} failed ({code}): {tail[-400:]}; see {log}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:100] if lines else "compiling"
