"""`python -m tests.services fetch|up|down`: obtain the services, run them for a person, end them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.services.cache import Unobtainable, root, say
from tests.services.fetch import kafka_jars, lacking, weaviate_binary
from tests.services.kafka import Kafka
from tests.services.process import Service, end, end_strays
from tests.services.weaviate import Weaviate

SERVICES: dict[str, type[Kafka] | type[Weaviate]] = {"kafka": Kafka, "weaviate": Weaviate}


def _folder(name: str) -> Path:
    return root() / "run" / name  # no dash and number: `end_strays` leaves it alone


def fetch(names: list[str]) -> None:
    """Obtain what is not there yet; where a tool is absent, one line says what is left out."""
    for name in names:
        if why := lacking(name):
            say(f"{name} is left out: {why}")
        else:
            where = kafka_jars() if name == "kafka" else weaviate_binary()
            say(f"{name} is ready in {where}")


def up(names: list[str]) -> None:
    """Start them with folders that stay, and print how to reach them."""
    down(names)
    for name in names:
        service: Service = SERVICES[name](folder=_folder(name), keep=True)
        service.start()
        say(f"{name} runs as process {service.pid}, log {service.log}")
        if isinstance(service, Kafka):
            print(f"export SEESTREAM__KAFKA__BOOTSTRAP={service.bootstrap}")
        elif isinstance(service, Weaviate):
            print(f"export SEESTREAM__STORE__URL={service.url} SEESTREAM__STORE__GRPC_PORT={service.grpc_port}")


def down(names: list[str]) -> None:
    """End what `up` started and forget its data."""
    for name in names:
        folder = _folder(name)
        if (folder / "pid").exists():
            end(folder, int((folder / "pid").read_text().split()[0]))
            say(f"{name} ended")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.services", description=__doc__)
    parser.add_argument("action", choices=["fetch", "up", "down"])
    parser.add_argument("names", nargs="*", choices=[*SERVICES, []], help="kafka, weaviate; both when none is named")
    given = parser.parse_args()
    try:
        end_strays()
        {"fetch": fetch, "up": up, "down": down}[given.action](given.names or list(SERVICES))
    except Unobtainable as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
