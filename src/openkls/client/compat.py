"""The official SDK's client for the nine actions: only the line ``from kscore.kls import getKlsClient`` changes.

Rule: its names, its signatures, its defaults (a Limit of 1 too) and what it gives: the whole answer as a dictionary,
also that of a business failure. A gateway failure is a GatewayError, no answer a NoAnswer.
"""
# ruff: noqa: N802, N803 - the official SDK's names

import contextlib
from collections.abc import Mapping
from typing import Any

from openkls.client.core import REGION_DEFAULT
from openkls.client.credentials import find_endpoint
from openkls.client.errors import BusinessError
from openkls.client.sync import Client

Whole = dict[str, Any]


class KlsClient:
    """The nine actions by their own names: POST actions take one dictionary, GET actions take keywords."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def _whole(self, action: str, parameters: Mapping[str, object]) -> Whole:
        call = self.client.make(action, parameters)
        with contextlib.suppress(BusinessError):
            call.data()
        return call.last_answer().whole()

    def ListRealtimeStreamsInfo(self, param: Mapping[str, object]) -> Whole:
        """Live streams of an app, their quality and viewers."""
        return self._whole("ListRealtimeStreamsInfo", param)

    def ForbidStream(self, param: Mapping[str, object]) -> Whole:
        """Cut and forbid a stream."""
        return self._whole("ForbidStream", param)

    def ResumeStream(self, param: Mapping[str, object]) -> Whole:
        """Allow a forbidden stream again."""
        return self._whole("ResumeStream", param)

    def ListRealtimePubStreamsInfo(
        self,
        UniqueName: str = "",
        App: str = "",
        Pubdomain: str = "",
        Stream: str = "",
        Limit: int = 1,
        Marker: int = 0,
        OrderTime: int = 0,
    ) -> Whole:
        """Streams being pushed, a page."""
        return self._whole(
            "ListRealtimePubStreamsInfo",
            {
                "UniqueName": UniqueName,
                "App": App,
                "Pubdomain": Pubdomain,
                "Stream": Stream,
                "Limit": Limit,
                "Marker": Marker,
                "OrderTime": OrderTime,
            },
        )

    def ListHistoryPubStreamsInfo(
        self,
        UniqueName: str = "",
        App: str = "",
        Pubdomain: str = "",
        Stream: str = "",
        Limit: int = 1,
        Marker: int = 0,
        OrderTime: int = 0,
        StartUnixTime: int = 0,
        EndUnixTime: int = 0,
    ) -> Whole:
        """Pushes that have ended, a page."""
        return self._history(
            "ListHistoryPubStreamsInfo",
            (UniqueName, App, Pubdomain, Stream, Limit, Marker, OrderTime, StartUnixTime, EndUnixTime),
        )

    def ListHistoryPubStreamsErrInfo(
        self,
        UniqueName: str = "",
        App: str = "",
        Pubdomain: str = "",
        Stream: str = "",
        Limit: int = 1,
        Marker: int = 0,
        OrderTime: int = 0,
        StartUnixTime: int = 0,
        EndUnixTime: int = 0,
    ) -> Whole:
        """Pushes that were refused or ended in error, a page."""
        return self._history(
            "ListHistoryPubStreamsErrInfo",
            (UniqueName, App, Pubdomain, Stream, Limit, Marker, OrderTime, StartUnixTime, EndUnixTime),
        )

    def ListStreamDurations(
        self,
        UniqueName: str = "",
        App: str = "",
        Pubdomain: str = "",
        Stream: str = "",
        StartUnixTime: int = 0,
        EndUnixTime: int = 0,
    ) -> Whole:
        """How long streams were pushed."""
        return self._whole(
            "ListStreamDurations",
            {
                "UniqueName": UniqueName,
                "App": App,
                "Pubdomain": Pubdomain,
                "Stream": Stream,
                "StartUnixTime": StartUnixTime,
                "EndUnixTime": EndUnixTime,
            },
        )

    def GetBlacklist(self, UniqueName: str = "", App: str = "", Pubdomain: str = "") -> Whole:
        """The forbidden streams."""
        return self._whole("GetBlacklist", {"UniqueName": UniqueName, "App": App, "Pubdomain": Pubdomain})

    def CheckBlacklist(self, UniqueName: str = "", App: str = "", Pubdomain: str = "", Stream: str = "") -> Whole:
        """Whether a stream is forbidden."""
        return self._whole(
            "CheckBlacklist", {"UniqueName": UniqueName, "App": App, "Pubdomain": Pubdomain, "Stream": Stream}
        )

    def _history(self, action: str, values: tuple[str | int, ...]) -> Whole:
        names = ("UniqueName", "App", "Pubdomain", "Stream", "Limit", "Marker", "OrderTime")
        return self._whole(action, dict(zip((*names, "StartUnixTime", "EndUnixTime"), values, strict=True)))


def getKlsClient(
    service_name: str = "kls",
    region_name: str = REGION_DEFAULT,
    use_ssl: bool = False,
    ks_access_key_id: str | None = None,
    ks_secret_access_key: str | None = None,
    endpoint_url: str | None = None,
) -> KlsClient:
    """A client of the service at ``endpoint_url``, else at OPENKLS_ENDPOINT, else on this machine.

    Without a key pair: as every client here finds it. ``use_ssl`` makes an endpoint of http one of https.
    """
    if service_name != "kls":
        raise ValueError(f"there is no service {service_name!r} here, only 'kls'")
    endpoint = find_endpoint(endpoint_url)
    if use_ssl and endpoint.startswith("http://"):
        endpoint = "https://" + endpoint.removeprefix("http://")
    return KlsClient(Client(endpoint, ks_access_key_id, ks_secret_access_key, region_name))
