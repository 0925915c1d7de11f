"""More of the clients people have: the vendor's new SDK, what is built on botocore, a program behind `http_proxy`, and
whatever is made from the OpenAPI document.

Each is run as people run it, in a process and a home folder of its own, and calls all nine actions.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from openkls import model
from openkls.client import Client
from openkls.codec.amzdate import build_amz_date
from openkls.codec.sigv4 import SignedRequest, encode_query, presign
from support_nine import program, run_all_nine, snake
from support_openapi import faults
from support_service import ACCESS_KEY, SECRET_KEY, RunningService

pytestmark = pytest.mark.e2e

HERE = Path(__file__).parent
REGION = "cn-beijing-6"
# Python's own start included; awscli's takes most of a second.
COMMAND_SECONDS = 30.0
SDK_NEEDS_CGI = pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="the SDK imports cgi, which Python 3.13 no longer has"
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home of the test's own, and nothing that leads a client elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENKLS_", "AWS_")) and not name.lower().endswith("_proxy")
    }
    home = tmp_path / "home"
    home.mkdir()
    return {**kept, "HOME": str(home), "PYTHONUTF8": "1"}


@pytest.fixture
def aws_environment(environment: dict[str, str]) -> dict[str, str]:
    """The same with a key pair where AWS's clients look, and the model installed for them."""
    run([sys.executable, "-m", "openkls", "model", "install"], environment)
    return {
        **environment,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def run(command: list[str], environment: dict[str, str]) -> str:
    """Standard output of a command that succeeds."""
    done = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def installed(name: str) -> str:
    """A command of this Python's environment."""
    path = Path(sys.executable).with_name(name)
    assert path.exists(), f"{name} is missing; requirements/dev.txt has it"
    return str(path)


def test_kingsoftcloud_sdk_python_calls_all_nine(
    service: RunningService, clip: Path, environment: dict[str, str]
) -> None:
    path = HERE / "kingsoftcloud_program.py"
    endpoint = f"127.0.0.1:{service.api_port}"
    keys = (ACCESS_KEY, SECRET_KEY)
    with (
        program(path, endpoint, "POST", *keys, environment=environment) as post,
        program(path, endpoint, "GET", *keys, environment=environment) as get,
    ):

        def call(action: str, **parameters: object) -> dict[str, Any]:
            posted = post(action, **parameters)
            if model.load().operations[action].method == "POST":
                return posted
            got = get(action, **parameters)
            assert got["Data"].keys() == posted["Data"].keys()
            return got

        run_all_nine(call, service, clip)


@SDK_NEEDS_CGI
def test_program_that_knows_only_the_cloud_needs_nothing_but_http_proxy(
    service: RunningService, clip: Path, environment: dict[str, str]
) -> None:
    environment["http_proxy"] = service.endpoint
    with program(HERE / "kls_client_program.py", ACCESS_KEY, SECRET_KEY, environment=environment) as client:

        def call(action: str, **parameters: object) -> dict[str, Any]:
            # The SDK's own default is one row.
            pages = {"Limit": 1000} if "Limit" in model.load().operations[action].input.members else {}
            return client(action, **parameters, **pages)

        run_all_nine(call, service, clip)


def test_boto3_with_the_installed_model_calls_all_nine(
    service: RunningService, clip: Path, aws_environment: dict[str, str]
) -> None:
    with program(HERE / "boto3_program.py", service.endpoint, environment=aws_environment) as call:
        run_all_nine(call, service, clip)


def test_awscli_with_the_installed_model_calls_all_nine(
    service: RunningService, clip: Path, aws_environment: dict[str, str]
) -> None:
    aws = installed("aws")

    def call(action: str, **parameters: object) -> dict[str, Any]:
        command = [aws, "kls", snake(action).replace("_", "-"), "--endpoint-url", service.endpoint, "--output", "json"]
        for name, value in parameters.items():
            command += [f"--{snake(name).replace('_', '-')}", str(value)]
        answer: dict[str, Any] = json.loads(run(command, aws_environment))
        return answer

    run_all_nine(call, service, clip)


def test_awscurl_calls_all_nine(service: RunningService, clip: Path, aws_environment: dict[str, str]) -> None:
    awscurl = installed("awscurl")

    def call(action: str, **parameters: object) -> dict[str, Any]:
        url = f"{service.endpoint}/?Action={action}&Version=2017-01-01"
        command = [awscurl, "--service", "kls", "--region", REGION]
        if model.load().operations[action].method == "POST":
            command += ["-X", "POST", "-d", json.dumps(parameters), url]
        else:
            # Names as they are: awscurl encodes them itself, and would sign an encoded one as encoded twice.
            command += [url + "".join(f"&{name}={value}" for name, value in parameters.items())]
        answer: dict[str, Any] = json.loads(run(command, aws_environment))
        return answer

    run_all_nine(call, service, clip)


def test_presigned_urls_opened_with_plain_curl_call_all_nine(
    service: RunningService, clip: Path, environment: dict[str, str]
) -> None:
    curl = shutil.which("curl")
    assert curl, "curl is missing; .ci/run installs it"

    def call(action: str, **parameters: object) -> dict[str, Any]:
        names = {"Action": action, "Version": "2017-01-01", **parameters}
        asked = encode_query([(name, str(value)) for name, value in names.items()])
        request = SignedRequest("GET", "/", asked, [("Host", f"127.0.0.1:{service.api_port}")])
        now = build_amz_date(int(time.time()))
        query = presign(request, ACCESS_KEY, SECRET_KEY, REGION, "kls", now, 60)
        url = f"{service.endpoint}/?{query}"
        answer: dict[str, Any] = json.loads(run([curl, "--silent", "--max-time", "10", url], environment))
        return answer

    run_all_nine(call, service, clip)


def test_running_service_answers_all_nine_as_its_openapi_document_says(service: RunningService, clip: Path) -> None:
    document = httpx.get(f"{service.endpoint}/openapi.json", trust_env=False).json()
    OpenAPIV31SpecValidator(document).validate()
    with Client(service.endpoint, ACCESS_KEY, SECRET_KEY) as api:

        def call(action: str, **parameters: object) -> dict[str, Any]:
            answer: dict[str, Any] = api.send(action, parameters).whole()
            assert faults(document, action, answer) == []
            return answer

        run_all_nine(call, service, clip)
