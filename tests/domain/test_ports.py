"""The rules that facts of the ports carry themselves."""

from dataclasses import replace

from openkls.domain.ports import AccessKey

KEY = AccessKey("AK", "top secret", "1", True, 1000, 1)


def test_key_lives_until_the_second_it_expires_and_while_it_is_enabled() -> None:
    assert KEY.lives(10**12)
    assert not replace(KEY, enabled=False).lives(0)
    ending = replace(KEY, expires_at=2000)
    assert ending.lives(1999.9)
    assert not ending.lives(2000)


def test_key_never_shows_its_secret() -> None:
    assert repr(KEY) == "AccessKey('AK', account_id='1', enabled=True)"
