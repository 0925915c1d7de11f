"""The first start: a configuration with an account, a key pair and a space, so that a stream can be pushed at once.

Rule: it is made once, whole, with mode 0600, and never written again.
"""

import secrets
import string
from pathlib import Path

from openkls.cli.place import CONFIG_NAME
from openkls.control.keypairs import new_access_key, new_secret_key, random_text
from openkls.store.datadir import write_new

ACCOUNT_DIGITS = 10

_TEMPLATE = """\
# OpenKLS, made at the first start. It holds a secret: keep its mode at 0600.
# Every key is explained in docs/reference/configuration.md; `openkls check-config` says whether a change is right.
# Accounts, keys, spaces and [limits] are taken up on SIGHUP, everything else at the next start.

[server]
region = "cn-beijing-6"             # the region requests are signed for
timezone = "Asia/Shanghai"          # where a day begins, for history and durations
data_dir = {data_dir}               # seen from the folder the service is started in
node = "127.0.0.1"                  # this machine's address, as the stream lists tell it

[api]
listen = "127.0.0.1:8080"           # "0.0.0.0:8080" to be reached from other machines

[rtmp]
listen = "127.0.0.1:1935"           # likewise; protect the publish domains first (see auth below)

[play]
listen = "127.0.0.1:8081"           # http://<play domain>:8081/<app>/<stream>.flv and .m3u8

[[account]]
id = "{account_id}"

[[account.key]]
access_key = "{access_key}"
secret_key = "{secret_key}"

[[account.space]]
unique_name = "demo"
apps = ["live"]                     # apps that may be pushed to; [] lets any
# Names under which encoders reach this space, without authentication. Streams are listed under the first real one.
publish_domains = ["push.demo.local", "localhost", "127.0.0.1"]

# A publish domain that asks for a signature:
# [[account.space.publish_domain]]
# name = "push2.demo.local"
# auth = "md5"
# keys = ["a secret of your own"]

[[account.space.play_domain]]
id = "1001"                         # what DomainIds of ListRealtimeStreamsInfo asks for
name = "play.demo.local"
"""


def make_first_config(data_dir: str) -> Path:
    """Make the data folder (mode 0700) and its configuration (0600); of two starts at once one wins.

    Raises OSError or store.errors.SetupError when the folder cannot be made or written.
    """
    folder = Path(data_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / CONFIG_NAME
    write_new(path, _fill(data_dir).encode())
    return path


def _fill(data_dir: str) -> str:
    return _TEMPLATE.format(
        data_dir=_toml_string(data_dir),
        account_id=secrets.choice("123456789") + random_text(string.digits, ACCOUNT_DIGITS - 1),
        access_key=new_access_key(),
        secret_key=new_secret_key(),
    )


def _toml_string(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(char):04x}" if char in '"\\' or ord(char) < 0x20 or ord(char) == 0x7F else char for char in text
    )
    return f'"{escaped}"'
