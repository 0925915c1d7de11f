"""The conformance cases as pytest parameters, and the played network that they run against."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(__file__).parent.parent / "sdk" / "conformance"
ENDPOINT = "http://kls.test:8080"
CASES: list[dict[str, Any]] = [
    case for path in sorted(FOLDER.glob("*.json")) for case in json.loads(path.read_text("utf-8"))["cases"]
]
FAULTS = {"refused": httpx.ConnectError, "reset": httpx.RemoteProtocolError, "timeout": httpx.ReadTimeout}


@dataclass
class Network:
    """Gives the answers of a case to its requests, which it holds against those of the case; keeps the pauses."""

    case: dict[str, Any]
    seen: int = 0
    pauses: list[float] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What a transport of httpx calls."""
        assert self.seen < len(self.case["requests"]), f"one more than expected: {request.url}"
        wanted, given = self.case["requests"][self.seen], self.case["answers"][self.seen]
        self.seen += 1
        assert request.method == wanted["method"]
        assert request.url.raw_path.decode() == wanted["target"]
        assert request.read().decode() == wanted.get("body", "")
        assert request.headers["host"] == "kls.test:8080"
        assert request.headers["user-agent"].startswith("openkls-python/")
        for name, value in wanted["headers"].items():
            assert request.headers[name] == value, name
        if "fault" in given:
            raise FAULTS[given["fault"]]("as the case says", request=request)
        return httpx.Response(given["status"], headers=given["headers"], content=given["body"].encode())

    async def answer_async(self, request: httpx.Request) -> httpx.Response:
        """What an asynchronous transport calls."""
        return self.answer(request)

    def pause(self, seconds: float) -> None:
        """In the place of time.sleep."""
        self.pauses.append(seconds)

    async def pause_async(self, seconds: float) -> None:
        """In the place of asyncio.sleep."""
        self.pauses.append(seconds)

    def check(self) -> None:
        """All requests were made, and the pauses are as the case says."""
        assert self.seen == len(self.case["requests"])
        assert len(self.pauses) == self.case.get("waits", max(0, self.seen - 1))
        assert all(0 <= pause <= 60 for pause in self.pauses)
        for pause, least in zip(self.pauses, self.case.get("least_waits_seconds", ()), strict=False):
            assert pause >= least


def options(case: dict[str, Any], transport: object, network: Network, pause: object) -> dict[str, Any]:
    """The arguments of a client."""
    return {
        "endpoint": ENDPOINT,
        **case["client"],
        "transport": transport,
        "clock": lambda: float(case["clock"]),
        "sleep": pause,
    }
