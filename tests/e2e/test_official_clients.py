"""The clients people have, unmodified, against the real service with a real encoder pushing.

Each client calls all nine actions; what it is given back is judged against the model and against what is pushed.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openkls import model
from support_nine import program, run_all_nine, snake
from support_service import ACCESS_KEY, SECRET_KEY, RunningService

pytestmark = pytest.mark.e2e


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the SDK imports cgi, which Python 3.13 no longer has")
def test_ksc_sdk_python_unmodified_calls_all_nine(service: RunningService, clip: Path) -> None:
    path = Path(__file__).with_name("ksc_sdk_program.py")
    with program(path, service.endpoint, ACCESS_KEY, SECRET_KEY) as call:
        run_all_nine(call, service, clip)


def test_botocore_with_our_model_calls_all_nine(service: RunningService, clip: Path, tmp_path: Path) -> None:
    import botocore.session

    folder = tmp_path / "models" / "kls" / "2017-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_bytes(model.source())
    session = botocore.session.get_session()
    session.get_component("data_loader").search_paths.append(str(tmp_path / "models"))
    client = session.create_client(
        "kls",
        "cn-beijing-6",
        endpoint_url=service.endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )

    def call(action: str, **parameters: object) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(client, snake(action))(**parameters)
        return answer

    run_all_nine(call, service, clip)


def test_curl_aws_sigv4_calls_all_nine(service: RunningService, clip: Path) -> None:
    curl = shutil.which("curl")
    assert curl, "curl is missing; .ci/run installs it"

    def call(action: str, **parameters: object) -> dict[str, Any]:
        operation = model.load().operations[action]
        command = [curl, "--silent", "--show-error", "--max-time", "10", "--aws-sigv4", "aws:amz:cn-beijing-6:kls"]
        command += ["--user", f"{ACCESS_KEY}:{SECRET_KEY}", "--header", "Accept: application/json"]
        target = f"{service.endpoint}/?Action={action}&Version=2017-01-01"
        if operation.method == "GET":
            command += ["--get"]
            for name, value in parameters.items():
                command += ["--data-urlencode", f"{name}={value}"]
        else:
            command += ["--header", "Content-Type: application/json", "--data-binary", json.dumps(parameters)]
        done = subprocess.run([*command, target], capture_output=True, timeout=15, check=False)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    run_all_nine(call, service, clip)
