"""Weaviate, one node, as a process."""

from __future__ import annotations

import ssl
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tests.services.fetch import weaviate_binary
from tests.services.process import Service, free_ports


class Certificate(NamedTuple):
    """PEM files for https and gRPC."""

    certificate: Path
    key: Path


class Weaviate(Service):
    """`url` is the HTTP address and `grpc_port` the other port, the same over every restart.

    With `api_key`, anonymous access is off. With `tls`, both ports speak TLS with that certificate. `ttl_schedule` is
    the cron line by which the server deletes expired objects.
    """

    name = "weaviate"

    def __init__(
        self, *, api_key: str | None = None, tls: Certificate | None = None, ttl_schedule: str | None = None,
        folder: Path | None = None, keep: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(folder=folder, keep=keep)
        self.binary = weaviate_binary()
        self.api_key, self._tls, self._ttl_schedule = api_key, tls, ttl_schedule
        self.port, self.grpc_port, *self._inner = free_ports(6)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        command = [str(self.binary), "--host", "127.0.0.1", "--write-timeout", "600s"]
        if self._tls is None:
            return [*command, "--scheme", "http", "--port", str(self.port)]
        files = ["--tls-certificate", str(self._tls.certificate), "--tls-key", str(self._tls.key)]
        return [*command, "--scheme", "https", "--tls-host", "127.0.0.1", "--tls-port", str(self.port), *files]

    def environment(self) -> dict[str, str]:
        gossip, data, raft, raft_rpc = (str(port) for port in self._inner)
        chosen = {
            "PERSISTENCE_DATA_PATH": str(self.data),
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false" if self.api_key else "true",
            "AUTOSCHEMA_ENABLED": "false",
            "DISABLE_TELEMETRY": "true",
            "GO_PROFILING_DISABLE": "true",
            "LOG_LEVEL": "warning",
            "GRPC_PORT": str(self.grpc_port),
            "GRPC_LISTEN_ADDRESS": "127.0.0.1",
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_IN_LOCALHOST": "true",  # finds its own RPC port as RAFT_PORT + 1
            "CLUSTER_BIND_ADDR": "127.0.0.1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_GOSSIP_BIND_PORT": gossip,
            "CLUSTER_DATA_BIND_PORT": data,
            "RAFT_PORT": raft,
            "RAFT_INTERNAL_RPC_PORT": raft_rpc,
            "RAFT_BOOTSTRAP_EXPECT": "1",
            # a test machine's disk may be nearly full; the server would turn read-only at 90 %
            "DISK_USE_WARNING_PERCENTAGE": "0",
            "DISK_USE_READONLY_PERCENTAGE": "0",
        }
        if self.api_key:
            chosen |= {
                "AUTHENTICATION_APIKEY_ENABLED": "true",
                "AUTHENTICATION_APIKEY_ALLOWED_KEYS": self.api_key,
                "AUTHENTICATION_APIKEY_USERS": "tests",
            }
        if self._ttl_schedule:
            chosen["OBJECTS_TTL_DELETE_SCHEDULE"] = self._ttl_schedule
        if self._tls:
            chosen |= {"GRPC_CERT_FILE": str(self._tls.certificate), "GRPC_KEY_FILE": str(self._tls.key)}
        return chosen

    def answers(self) -> bool:
        context = ssl._create_unverified_context() if self._tls else None
        address = f"{self.url}/v1/.well-known/ready"
        try:
            with urllib.request.urlopen(address, timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
