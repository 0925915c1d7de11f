"""Publishers and viewers of a process. Rule: whoever waits for something is let go before what he waits for ends."""

import hmac
import secrets
import time
from contextlib import AsyncExitStack

from openkls.app.rules import Rules
from openkls.app.starting import listening
from openkls.config import Address, Config, join_address, parse_advertised
from openkls.domain.hls_sessions import HlsSessions, SessionIds
from openkls.domain.origin import AddressCap
from openkls.media.doors import Doors
from openkls.media.hls import Hls
from openkls.media.hls_proxy import HlsProxy
from openkls.media.play import PlayListener
from openkls.media.relay import Relays
from openkls.media.relay_port import RelayPort
from openkls.media.rtmp_listener import RtmpListener
from openkls.meters import Media

# Of HMAC-SHA256; a restart lets HLS players open the master playlist again.
SESSION_KEY_BYTES = 32
# What a cluster's token is turned into the key of HLS sessions by: they hold wherever the stream is published next.
SESSION_KEY_LABEL = b"OpenKLS HLS sessions"


async def serve_media(
    settings: Config, rules: Rules, cap: AddressCap, shares_ports: bool, stack: AsyncExitStack
) -> tuple[Address, Address]:
    """Listen for publishers and viewers; the addresses of RTMP and of the play port."""
    peers = rules.membership.peers if rules.membership else None
    doors = Doors(
        admission=rules.admission,
        endings=rules.endings,
        directory=rules.directory,
        registry=rules.registry,
        hubs=rules.hubs,
        cap=cap,
        clock=time.time,
        merge_ms=settings.play.merge_ms,
        grace_seconds=settings.play.republish_grace_seconds,
        whereabouts=peers,
    )
    token = settings.cluster.token
    session_key = secrets.token_bytes(SESSION_KEY_BYTES)
    relays = proxy = relay_port = None
    if peers is not None:
        session_key = hmac.digest(token.encode(), SESSION_KEY_LABEL, "sha256")
    hls = Hls(doors, HlsSessions(rules.viewers), SessionIds(session_key))
    if peers is not None:
        relays, proxy = Relays(doors, peers, token), HlsProxy(doors, token)
        stack.push_async_callback(relays.close)
        stack.push_async_callback(proxy.close)
        relay_port = RelayPort(doors, hls, token)
        bound = await listening(relay_port.open, settings.cluster.relay_listen, "cluster.relay_listen")
        stack.push_async_callback(relay_port.close)
        shown = settings.cluster.relay_advertise
        peers.show_relay(join_address(parse_advertised(shown, bound) if shown else bound))
    play_listener = PlayListener(doors, hls, settings.api.trusted_networks, relays, proxy, shares_ports)
    play = await listening(play_listener.open, settings.play.listen, "play.listen")
    stack.push_async_callback(play_listener.close)
    rtmp_listener = RtmpListener(doors, relays, shares_ports)
    rtmp = await listening(rtmp_listener.open, settings.rtmp.listen, "rtmp.listen")
    stack.push_async_callback(rtmp_listener.close)
    # Right before it, so that no publish that is being asked about is admitted when all others have ended.
    stack.callback(rules.hooks.stop)
    if relays is not None and relay_port is not None:
        stack.callback(relays.stop)
        stack.callback(relay_port.let_go)
    rules.parts.media = Media(doors, hls, rtmp_listener, play_listener, relay_port, relays, proxy)
    return rtmp, play
