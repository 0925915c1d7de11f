"""What stands in deploy/ is true: commands, configuration, environment, units. Nothing starts without its secrets."""

import configparser
import http.server
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from openkls import config
from openkls.app import Role
from openkls.cli.program import app
from openkls.control.keyring import KeyRing
from openkls.meters.families import FAMILIES, Kind

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
NODES = {"api-1": Role.API, "api-2": Role.API, "media-1": Role.MEDIA, "media-2": Role.MEDIA}
SECRETS = {name: f"{number}a" * 24 for number, name in enumerate(("POSTGRES_PASSWORD", "REDIS_PASSWORD"))}
SECRETS["OPENKLS_CLUSTER_TOKEN"] = "c" * 64
VARIABLE = re.compile(r"\$\{(\w+)(:[-?])([^}]*)\}")
UNITS = {
    "openkls.service": Role.ALL,
    "openkls-api.service": Role.API,
    "openkls-media@.service": Role.MEDIA,
}
CONFIG_PATH = "/etc/openkls/openkls.toml"
SAMPLE = DEPLOY / "config" / "openkls.toml"
PROGRAM = "/opt/openkls/bin/openkls"
CLUSTER = {
    "OPENKLS_STORE__URL": "postgresql://openkls:secret@db.internal:5432/openkls",
    "OPENKLS_CLUSTER__URL": "redis://:secret@redis.internal:6379/0",
    "OPENKLS_CLUSTER__TOKEN": "c" * 64,
}


def parsed(words: list[str]) -> dict[str, Any]:
    """The parameters of an openkls command; fails as the program would on one that it does not understand."""
    group = typer.main.get_command(app)
    context = group.make_context("openkls", list(words), resilient_parsing=True)
    _, command, rest = group.resolve_command(context, list(words))  # type: ignore[attr-defined]
    return dict(command.make_context(words[0], rest).params)


def filled(text: str, values: dict[str, str]) -> str:
    """As Compose fills a value in; KeyError for one that must be set and is not."""

    def fill(found: re.Match[str]) -> str:
        name, how, rest = found.groups()
        if how == ":-":
            return values.get(name) or rest
        if not values.get(name):
            raise KeyError(f"{name}: {rest}")
        return values[name]

    return VARIABLE.sub(fill, text).replace("$$", "$")


def image_environment() -> dict[str, str]:
    """What the Dockerfile sets for the service."""
    return dict(re.findall(r"(OPENKLS_\w+)=(\S+)", DOCKERFILE))


def node_environment(name: str, values: dict[str, str]) -> dict[str, str]:
    """What a node of the composition is given."""
    given = COMPOSE["services"][name]["environment"]
    return image_environment() | {key: filled(str(value), values) for key, value in given.items()}


# -- compose


@pytest.mark.parametrize("name", NODES)
def test_node_of_the_composition_starts_as_its_command_and_configuration_say(name: str) -> None:
    service = COMPOSE["services"][name]
    command = parsed(service["command"])
    assert command["role"] == NODES[name]
    assert str(command["config"]) == CONFIG_PATH
    mounts = dict(text.split(":")[:2] for text in service["volumes"])
    assert mounts["./config"] == str(Path(CONFIG_PATH).parent)
    environment = node_environment(name, SECRETS)
    tree = config.load(SAMPLE, environment)
    KeyRing(tree.account)
    folders = set(mounts.values())
    assert {tree.server.data_dir, str(Path(tree.store.secret_file).parent)} <= folders
    assert mounts[name] == tree.server.data_dir  # of its own, not shared
    assert tree.store.url == f"postgresql://openkls:{SECRETS['POSTGRES_PASSWORD']}@postgres:5432/openkls"
    assert tree.cluster.url == f"redis://:{SECRETS['REDIS_PASSWORD']}@redis:6379/0"
    if NODES[name] is Role.MEDIA:
        assert config.parse_advertised(tree.cluster.relay_advertise, config.Address("", 7001)) == (name, 7001)


def test_published_ports_and_health_are_those_the_service_listens_on() -> None:
    taken = []
    for name, role in NODES.items():
        tree = config.load(SAMPLE, node_environment(name, SECRETS))
        listens = [tree.api.listen] if role is Role.API else [tree.rtmp.listen, tree.play.listen]
        inner = {config.parse_address(text, "listen").port for text in listens}
        published = [filled(text, {}).split(":") for text in COMPOSE["services"][name]["ports"]]
        assert {int(port) for _, _, port in published} == inner
        assert {host for host, _, _ in published} == {"127.0.0.1"}
        taken += [port for _, port, _ in published]
        *command, asked = COMPOSE["services"][name]["healthcheck"]["test"]
        assert command == ["CMD", "python", "/opt/openkls/healthcheck.py"]
        assert int(asked) in inner - {1935}
    assert len(taken) == len(set(taken))


def test_every_secret_must_be_supplied_and_stands_nowhere() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    asked = {name for name, how, _ in VARIABLE.findall(text) if how == ":?"}
    assert asked == set(SECRETS)
    for name in SECRETS:
        with pytest.raises(KeyError, match=f"{name}: set it to the output of openssl rand -hex"):
            node_environment("api-1", {**SECRETS, name: ""})
    for service in COMPOSE["services"].values():
        for key, value in service["environment"].items():
            if re.search("PASSWORD|TOKEN|_URL|__URL", key):
                assert VARIABLE.search(value), key
    assert "secret_key" not in SAMPLE.read_text()
    assert "deploy/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_composition_names_nothing_that_it_does_not_have() -> None:
    services = COMPOSE["services"]
    assert set(services) == {*NODES, "postgres", "redis"}
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services)
        for other in service.get("depends_on", {}):
            assert "healthcheck" in services[other]
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        named = [text.split(":")[0] for text in service.get("volumes", ())]
        assert {each for each in named if not each.startswith(".")} <= set(COMPOSE["volumes"]), name
        for each in named:
            assert not each.startswith(".") or (DEPLOY / each).is_dir()
    assert COMPOSE["networks"]["back"] == {"internal": True}
    for name in ("postgres", "redis"):
        assert services[name]["networks"] == ["back"]
        assert "ports" not in services[name]


# -- the image


def test_image_copies_what_there_is_runs_as_nobody_of_note_and_knows_the_command() -> None:
    for words in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in words.split()[:-1]:
            assert (ROOT / source).exists(), source
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text()
    for words in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE):
        assert all(f"!{source}" in kept.splitlines() for source in words.split()[:-1]), words
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert parsed(yaml.safe_load(re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[-1]))["role"] is Role.ALL
    tree = config.load(None, image_environment())
    ports = [config.parse_address(text, "") for text in (tree.api.listen, tree.rtmp.listen, tree.play.listen)]
    assert {host for host, _ in ports} == {"0.0.0.0"}
    assert re.findall(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE) == [" ".join(str(port) for _, port in ports)]


def test_lock_of_the_cluster_is_that_of_the_tests_and_covers_the_extras() -> None:
    lock, tested = ((ROOT / "requirements" / name).read_text() for name in ("cluster.txt", "dev.txt"))
    blocks = re.findall(r"^\S.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    assert all(block in tested for block in blocks)
    names = {re.split("[=<>]", block)[0] for block in blocks}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for requirement in (*extras["postgres"], *extras["redis"]):
        assert re.split(r"[\[=<>]", requirement)[0] in names


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404 if self.server.server_port in self.well else 500)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        """Nothing."""

    well: set[int] = set()  # noqa: RUF012


def test_health_is_an_answer_of_every_port() -> None:
    def check(*ports: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(DEPLOY / "healthcheck.py"), *map(str, ports)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as good,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as bad,
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        _Answers.well = {good.server_port}
        for server in (good, bad):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert check(good.server_port).returncode == 0
            assert check(good.server_port, bad.server_port).stdout == f"port {bad.server_port}: status 500\n"
            hanging = check(good.server_port, silent.getsockname()[1])
            assert (hanging.returncode, hanging.stdout) == (1, f"port {silent.getsockname()[1]}: timed out\n")
        finally:
            good.shutdown()
            bad.shutdown()
        refused = bad.server_port
    assert check(refused).returncode == 1


# -- systemd


def unit(name: str, instance: str = "1") -> dict[str, list[str]]:
    """The settings of a unit's service, in the order in which systemd reads them."""
    settings: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(key, []).append(value.replace("%S", "/var/lib").replace("%i", instance))
    return settings


@pytest.mark.parametrize("name", UNITS)
def test_unit_starts_what_the_command_line_and_the_configuration_know(name: str) -> None:
    settings = unit(name)
    program, *words = shlex.split(settings["ExecStart"][0])
    assert (program, parsed(words)["role"], str(parsed(words)["config"])) == (PROGRAM, UNITS[name], CONFIG_PATH)
    check, hangup = (shlex.split(text) for text in settings["ExecReload"])
    assert (check[0], str(parsed(check[1:])["config"]), hangup) == (
        PROGRAM,
        CONFIG_PATH,
        ["/bin/kill", "-HUP", "$MAINPID"],
    )
    environment = dict(text.split("=", 1) for text in settings["Environment"])
    tree = config.load(SAMPLE, environment | ({} if UNITS[name] is Role.ALL else CLUSTER))
    folders = [f"/var/lib/{folder}" for text in settings["StateDirectory"] for folder in text.split()]
    assert tree.server.data_dir in folders
    if tree.store.secret_file:
        assert str(Path(tree.store.secret_file).parent) in folders
    assert settings["User"] == ["openkls"]
    assert re.search(r"^u openkls ", (DEPLOY / "systemd" / "openkls.sysusers.conf").read_text(), re.MULTILINE)


def test_unit_of_a_cluster_asks_for_its_secrets_and_says_which_is_missing(tmp_path: Path) -> None:
    lines = (DEPLOY / "systemd" / "cluster.env.example").read_text().splitlines()
    empty = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(empty) == set(CLUSTER)
    assert not any(empty.values())
    for name in ("openkls-api.service", "openkls-media@.service"):
        assert unit(name)["EnvironmentFile"][0] == "/etc/openkls/cluster.env"  # without the dash that lets it be absent
    for variable, complaint in (
        ("OPENKLS_STORE__URL", "[store] url is not a url"),
        ("OPENKLS_CLUSTER__URL", "cluster.url: role media needs it"),
        ("OPENKLS_CLUSTER__TOKEN", "cluster.token: at least 16 characters expected"),
    ):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENKLS_")}
        environment |= CLUSTER | {variable: ""}
        command = [sys.executable, "-m", "openkls", "serve", "--role", "media", "--config", str(SAMPLE)]
        environment["OPENKLS_SERVER__DATA_DIR"] = str(tmp_path)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert complaint in done.stderr


def test_units_are_what_systemd_understands(tmp_path: Path) -> None:
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        # Every key once in its section, but those that systemd adds up.
        reader = configparser.RawConfigParser(strict=False, interpolation=None)
        reader.read_string(text)
        assert reader.sections() == ["Unit", "Service", "Install"]
        twice = {key for key, values in unit(name).items() if len(values) > 1}
        assert twice <= {"Environment", "EnvironmentFile", "ExecReload", "SystemCallFilter"}
        program = Path(sys.prefix, "bin", "openkls")
        (tmp_path / name).write_text(text.replace(PROGRAM, str(program)))
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    paths = [str(tmp_path / name.replace("@", "@1")) for name in UNITS]
    done = subprocess.run([analyze, "verify", *paths], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_unit_is_hardened(name: str) -> None:
    settings = unit(name)
    wanted = {
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "UMask": "0077",
        "StateDirectoryMode": "0700",
        "Restart": "on-failure",
        "LimitNOFILE": "1048576",
    }
    assert {key: settings[key][-1] for key in wanted} == wanted
    assert int(settings["TimeoutStopSec"][0]) > 10  # what the service promises


# -- watching

DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALERTS = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
METRIC = re.compile(r"\b((?:openkls|process)_[a-z_]+)(\{[^}]*\})?")


def unknown_in(expression: str) -> list[str]:
    """The metrics and labels of an expression that are not exported."""
    wrong = []
    for name, selector in METRIC.findall(expression):
        base = re.sub("_(bucket|sum|count)$", "", name)
        family = FAMILIES.get(name) or FAMILIES.get(base)
        if family is None or (name not in FAMILIES and family.kind is not Kind.HISTOGRAM):
            wrong.append(name)
            continue
        labels = set(re.findall(r"([a-z_]+)(?:=~|!~|!=|=)", selector)) - {"job", "instance"}
        wrong += [f"{name}{{{label}}}" for label in labels - set(family.labels)]
    known = {label for family in FAMILIES.values() for label in family.labels} | {"job", "instance", "le"}
    grouped = {label.strip() for part in re.findall(r"by \(([^)]*)\)", expression) for label in part.split(",")}
    return wrong + sorted(grouped - known)


def test_a_wrong_expression_is_found() -> None:
    assert unknown_in('rate(openkls_streams{app="x"}[5m])') == []
    assert unknown_in("openkls_streamz") == ["openkls_streamz"]
    assert unknown_in('openkls_streams{stream="x"}') == ["openkls_streams{stream}"]
    assert unknown_in("openkls_streams_bucket") == ["openkls_streams_bucket"]
    assert unknown_in("sum by (colour) (openkls_streams)") == ["colour"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_asks_for_what_there_is_and_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]
    for target in panel["targets"]:
        assert unknown_in(target["expr"]) == []
        assert METRIC.search(target["expr"])
        assert 'job="$job"' in target["expr"]
        assert target["datasource"] == panel["datasource"]
        # Rates of counters, and of nothing else.
        for name, _ in re.findall(r"(?:rate|increase)\(((?:openkls|process)_[a-z_]+)(\{)", target["expr"]):
            assert re.search("_(total|bucket|count)$", name), name


def test_dashboard_can_be_imported() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    assert "id" not in DASHBOARD
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert set(variables) == {"datasource", "job", "instance"}
    assert unknown_in(variables["job"]["definition"] + variables["instance"]["definition"]) == []
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        "Overview",
        "Quality and publishes",
        "API",
        "Store",
        "Cluster",
        "Callbacks",
        "Processes",
    ]
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_alert_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    assert unknown_in(rule["expr"].replace('up{job="openkls"}', "1")) == []
    assert rule["annotations"]["summary"]


def test_prometheus_asks_every_node_of_the_composition_where_it_listens() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert job["authorization"] == {"type": "Bearer", "credentials_file": "/etc/prometheus/openkls.token"}
    targets = {target for group in job["static_configs"] for target in group["targets"]}
    listens = set()
    for name, role in NODES.items():
        tree = config.load(SAMPLE, node_environment(name, SECRETS))
        text = tree.api.listen if role is Role.API else tree.metrics.listen
        listens.add(f"{name}:{config.parse_address(text, '').port}")
    assert targets == listens
    assert all((DEPLOY / name).exists() for name in PROMETHEUS["rule_files"])


def test_token_of_the_composition_is_taken_up_and_nobody_is_let_in_without() -> None:
    assert config.load(SAMPLE, node_environment("media-1", SECRETS)).metrics.token == ""
    token = "d" * 64
    given = node_environment("media-1", {**SECRETS, "OPENKLS_METRICS_TOKEN": token})
    assert config.load(SAMPLE, given).metrics.token == token
