"""HTTPS: who is spoken to and how, a certificate that changes while the service runs, and clients that are slow."""

import asyncio
import logging
import os
import ssl
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from openkls import config
from openkls.api import listener, tls
from openkls.cli.cert import make_certificate
from openkls.codec.sigv4 import encode_query
from support_api import DEADLINE_SECONDS, Site, read_reply, request_bytes

KEY = {"UniqueName": "demo", "App": "live", "Pubdomain": "push.demo.local", "Stream": "s1"}
CHECK = "/?" + encode_query([("Action", "CheckBlacklist"), ("Version", "2017-01-01"), *KEY.items()])
SOON_SECONDS = 0.3


class Pair:
    """A certificate for localhost and its key in two files, written as an authority's client would."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self.renew()

    def renew(self) -> None:
        certificate, key = make_certificate([x509.DNSName("localhost")])
        put(self.certificate, certificate)
        put(self.key, key)

    def load(self) -> tls.Certificate:
        return tls.Certificate(self.certificate, self.key)

    @property
    def trusting(self) -> ssl.SSLContext:
        """A client that trusts the certificate as it is in its file, and no other."""
        return ssl.create_default_context(cafile=self.certificate)

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())


def put(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    os.replace(beside, path)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


class Secured:
    """A site whose port speaks HTTPS."""

    def __init__(self, site: Site, pair: Pair) -> None:
        self.site, self.pair = site, pair
        self.certificate = pair.load()

    async def __aenter__(self) -> "Secured":
        await self.site.close()
        self.site.listener = await listener.listen(self.site.services, config.Address("127.0.0.1", 0), self.certificate)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.site.close()

    async def connect(
        self, context: ssl.SSLContext, name: str | None = "localhost"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await asyncio.open_connection(*self.site.address, ssl=context, server_hostname=name)

    async def presented(self) -> bytes:
        """The certificate that a new connection is shown, DER."""
        _, writer = await self.connect(self.pair.trusting)
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return shown


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, site: Site) -> int:
    """One signed call on a connection: its status."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        writer.write(request_bytes(site.signed("GET", CHECK)))
        return (await read_reply(reader)).status


async def until_reloaded(certificate: tls.Certificate) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not certificate.reloads + certificate.failures:  # noqa: ASYNC110 -- a poll has no event
            await asyncio.sleep(0.01)


# -- who is spoken to ------------------------------------------------------------------------------------------------


async def test_curl_calls_over_https_with_the_certificate_as_authority(site: Site, pair: Pair) -> None:
    async with Secured(site, pair):
        request = site.signed("GET", CHECK)
        url = f"https://localhost:{site.address.port}{CHECK}"
        headers = [part for name, value in request.headers for part in ("-H", f"{name}: {value}")]
        process = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "--noproxy", "*", "--max-time", "10", "--cacert", str(pair.certificate)),
            *(*headers, "-w", " %{http_code} %{ssl_verify_result}", url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b'"CheckResult":0' in out
    assert out.endswith(b" 200 0")


async def test_http_and_https_stand_side_by_side(site: Site, pair: Pair) -> None:
    assert (await site.send(site.signed("GET", CHECK))).status == 200
    plain, site.listener = site.listener, None
    async with Secured(site, pair) as secured:
        reader, writer = await secured.connect(pair.trusting)
        assert await asked(reader, writer, site) == 200
        writer.close()
    assert plain is not None
    await plain.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(site: Site, pair: Pair, version: ssl.TLSVersion) -> None:
    context = pair.trusting
    context.minimum_version = context.maximum_version = version
    async with Secured(site, pair) as secured:
        reader, writer = await secured.connect(context)
        assert writer.get_extra_info("ssl_object").version() == {772: "TLSv1.3", 771: "TLSv1.2"}[version]
        assert await asked(reader, writer, site) == 200
        writer.close()


def only_tls_1_1(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")  # else the client itself would not offer it


def only_cipher(name: str) -> Callable[[ssl.SSLContext], None]:
    def narrow(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(name)

    return narrow


@pytest.mark.parametrize(
    ("narrow", "reason"),
    [
        (only_tls_1_1, "UNSUPPORTED_PROTOCOL"),
        (only_cipher("AES128-GCM-SHA256"), "NO_SHARED_CIPHER"),
        (only_cipher("ECDHE-ECDSA-AES128-SHA"), "NO_SHARED_CIPHER"),
        (only_cipher("ECDHE-ECDSA-AES256-SHA384"), "NO_SHARED_CIPHER"),
    ],
)
async def test_tls_1_1_and_weak_ciphers_are_refused(
    site: Site, pair: Pair, narrow: Callable[[ssl.SSLContext], None], reason: str
) -> None:
    context = pair.trusting
    narrow(context)
    assert why_refused(pair.load().context, context) == reason
    async with Secured(site, pair) as secured:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await secured.connect(context)


def why_refused(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """What the server makes of the client's hello: the connection shows it as a reset only."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    asked_side = server.wrap_bio(to_server, to_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        asking.do_handshake()
    with pytest.raises(ssl.SSLError) as caught:
        asked_side.do_handshake()
    return caught.value.reason or ""


async def test_plain_http_on_the_https_port_gets_no_answer(site: Site, pair: Pair) -> None:
    async with Secured(site, pair):
        reader, writer = await asyncio.open_connection(*site.address)
        writer.write(request_bytes(site.signed("GET", CHECK)))
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert b"HTTP/" not in await reader.read()
        writer.close()


# -- a certificate that changes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_new_connections_get_the_new_certificate_and_old_ones_go_on(
    pair: Pair, make_loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "POLL_SECONDS", 0.02)

    async def change() -> None:
        site = Site()
        async with Secured(site, pair) as secured:
            first = pair.der
            old = await secured.connect(pair.trusting)
            assert await secured.presented() == first
            pair.renew()
            await until_reloaded(secured.certificate)
            assert await secured.presented() == pair.der != first
            assert await asked(*old, site) == 200
            old[1].close()

    run(change(), make_loop)


def run(steps: Coroutine[Any, Any, None], make_loop: Any) -> None:
    with asyncio.Runner(loop_factory=make_loop) as runner:
        faults: list[object] = []
        runner.get_loop().set_exception_handler(lambda _, context: faults.append(context))
        runner.run(steps)
    assert not faults


async def test_client_without_a_server_name_gets_the_new_certificate_too(site: Site, pair: Pair) -> None:
    async with Secured(site, pair) as secured:
        pair.renew()
        secured.certificate.reload()
        context = pair.trusting
        context.check_hostname = False
        _, writer = await secured.connect(context, name="")
        assert writer.get_extra_info("ssl_object").getpeercert(binary_form=True) == pair.der
        writer.close()


def break_certificate(pair: Pair) -> None:
    put(pair.certificate, b"no certificate")


def break_key(pair: Pair) -> None:
    put(pair.key, b"no key")


def change_only_the_key(pair: Pair) -> None:
    put(pair.key, make_certificate([x509.DNSName("localhost")])[1])


def remove_the_key(pair: Pair) -> None:
    pair.key.unlink()


def remove_the_certificate(pair: Pair) -> None:
    pair.certificate.unlink()


def encrypt_the_key(pair: Pair) -> None:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    put(
        pair.key,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"pass"),
        ),
    )


BREAKS = [break_certificate, break_key, change_only_the_key, remove_the_key, remove_the_certificate, encrypt_the_key]


@pytest.mark.parametrize("spoil", BREAKS)
async def test_broken_new_file_keeps_the_old_certificate_and_is_told_once(
    site: Site, pair: Pair, spoil: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with Secured(site, pair) as secured:
        trusting, first = pair.trusting, pair.der
        spoil(pair)
        for _ in range(3):
            secured.certificate.reload()
        (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert line.startswith("api.tls_")
        assert str(pair.certificate.parent) in line
        assert (secured.certificate.failures, secured.certificate.reloads) == (1, 0)
        _, writer = await secured.connect(trusting)
        assert writer.get_extra_info("ssl_object").getpeercert(binary_form=True) == first
        writer.close()
        pair.renew()
        secured.certificate.reload()
        assert await secured.presented() == pair.der


@pytest.mark.parametrize("spoil", BREAKS)
def test_broken_file_at_the_start_names_its_key_and_itself(pair: Pair, spoil: Any) -> None:
    spoil(pair)
    with pytest.raises(tls.CertificateError, match=str(pair.key.parent)) as caught:
        pair.load()
    assert caught.value.key in ("tls_certificate", "tls_key")


def test_files_that_did_not_change_are_not_read_again(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = pair.load()
    monkeypatch.setattr(tls, "_new_context", lambda *_: pytest.fail("read again"))
    certificate.reload()
    assert (certificate.reloads, certificate.failures) == (0, 0)


async def test_closed_port_looks_at_no_file_any_more(site: Site, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "POLL_SECONDS", 0.01)
    async with Secured(site, pair) as secured:
        pair.renew()
        await until_reloaded(secured.certificate)
    monkeypatch.setattr(tls, "_state_of", lambda _: pytest.fail("looked"))
    await asyncio.sleep(0.05)


# -- clients that are slow -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00"])
async def test_class_11_slow_handshake_is_cut(
    site: Site, pair: Pair, first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", SOON_SECONDS)
    async with Secured(site, pair):
        reader, writer = await asyncio.open_connection(*site.address)
        writer.write(first)
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await reader.read() == b""
        assert asyncio.get_running_loop().time() - began >= SOON_SECONDS / 2
        writer.close()


async def test_class_11_silence_after_the_handshake_is_cut(
    site: Site, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HEAD_SECONDS", SOON_SECONDS)
    async with Secured(site, pair) as secured:
        reader, writer = await secured.connect(pair.trusting)
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await reader.read() == b""
        writer.close()


async def test_close_does_not_wait_for_idle_connections_nor_handshakes(site: Site, pair: Pair) -> None:
    async with Secured(site, pair) as secured:
        _, half = await asyncio.open_connection(*site.address)
        _, idle = await secured.connect(pair.trusting)
        began = asyncio.get_running_loop().time()
        await site.close()
        assert asyncio.get_running_loop().time() - began < listener.CLOSE_SECONDS
        half.close()
        idle.close()
