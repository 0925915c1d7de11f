"""A service in this process, asked for its metrics and its health over sockets."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from openkls import config
from openkls.app import Service
from openkls.config import Address, Config
from openkls.control.ids import new_session_id
from openkls.domain.keys import StreamKey
from openkls.domain.quality import Quality
from openkls.domain.session import Session, SessionFacts
from support_api import DEADLINE_SECONDS, Encoder, Reply, read_reply

TOKEN = "a token of thirty-two characters"
EPHEMERAL = "127.0.0.1:0"


class Running:
    """The service; ``settings`` may be changed before it is started."""

    def __init__(self, folder: Path, **metrics: Any) -> None:
        data_dir = folder / "data"
        data_dir.mkdir()
        self.settings = Config(
            server=config.Server(data_dir=str(data_dir), node="198.51.100.1"),
            api=config.Api(listen=EPHEMERAL),
            rtmp=config.Rtmp(listen=EPHEMERAL),
            play=config.Play(listen=EPHEMERAL),
            metrics=config.Metrics(**{"listen": EPHEMERAL, **metrics}),
            account=(
                config.Account(
                    "2000001",
                    key=(config.Key("AKTEST", "SECRET OF THE KEY"),),
                    space=(
                        config.Space("demo", apps=("live",), publish_domains=("push.demo.local", "127.0.0.1")),
                        config.Space("any", publish_domains=("push.any.local",)),
                    ),
                ),
            ),
        )
        self.service: Service

    def set(self, section: str, **keys: Any) -> None:
        """Change keys of a section, before the start."""
        changed = msgspec.structs.replace(getattr(self.settings, section), **keys)
        self.settings = msgspec.structs.replace(self.settings, **{section: changed})

    async def start(self) -> None:
        self.service = await Service.start(self.settings)

    async def stop(self) -> None:
        await self.service.stop()

    @property
    def api(self) -> Address:
        assert self.service.api_address is not None
        return self.service.api_address

    @property
    def own(self) -> Address:
        """The port of `[metrics] listen`."""
        assert self.service.metrics_address is not None
        return self.service.metrics_address

    def publish(self, stream: str, app: str = "live", unique_name: str = "demo") -> Session:
        """A live session that holds its name, without a connection."""
        key = StreamKey(unique_name, "push.demo.local", app, stream)
        now = int(asyncio.get_running_loop().time())
        facts = SessionFacts(new_session_id(now), key, "192.0.2.7", 50000, "198.51.100.1", "boot", now)
        session = Session(facts, Encoder(), Quality(float(now)), started=True)
        assert self.service.parts.registry.claim(session, now).refusal is None
        return session

    async def metrics(self, *headers: str, address: Address | None = None) -> dict[str, Metric]:
        """A scrape that was let in, as the library's own parser reads it."""
        reply = await self.get("/metrics", *headers, address=address)
        assert reply.status == 200, reply.body
        return {metric.name: metric for metric in text_string_to_metric_families(reply.body.decode())}

    async def get(self, path: str, *headers: str, address: Address | None = None, method: str = "GET") -> Reply:
        """One request on a connection of its own; ``headers`` are whole lines."""
        lines = "".join(f"{line}\r\n" for line in headers)
        host = "" if "Host:" in lines else "Host: 127.0.0.1\r\n"
        return await self.send(f"{method} {path} HTTP/1.1\r\n{host}{lines}\r\n".encode("latin-1"), address)

    async def send(self, data: bytes, address: Address | None = None) -> Reply:
        """Bytes as they are, and one answer."""
        reader, writer = await asyncio.open_connection(*(address or self.api))
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                writer.write(data)
                return await read_reply(reader)
        finally:
            writer.close()


def value(metrics: dict[str, Metric], name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    found = [
        sample.value
        for metric in metrics.values()
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert found, f"no {name}{labels}"
    return sum(found)
