"""The data folder's lock and the node's name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from openkls.store import SetupError, lock_data_dir, node_id

HOLD = """
import sys
from pathlib import Path
from openkls.store import lock_data_dir
held = lock_data_dir(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_second_holder_is_refused_and_told_the_first(tmp_path: Path) -> None:
    held = lock_data_dir(tmp_path / "new" / "folder")
    with pytest.raises(SetupError, match=f"process {os.getpid()};"):
        lock_data_dir(tmp_path / "new" / "folder")
    held.release()
    held.release()
    lock_data_dir(tmp_path / "new" / "folder").release()
    assert (tmp_path / "new" / "folder").stat().st_mode & 0o777 == 0o700


def test_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(SetupError, match=f"process {child.pid};"):
            lock_data_dir(tmp_path)
        child.kill()
    lock_data_dir(tmp_path).release()


def test_lock_file_with_other_content_still_gives_a_clear_text(tmp_path: Path) -> None:
    held = lock_data_dir(tmp_path)
    (tmp_path / "lock").write_bytes(b"\xff\x00 nothing")
    with pytest.raises(SetupError, match="in use by another process;"):
        lock_data_dir(tmp_path)
    held.release()


def test_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SetupError, match=r"set \[server\] data_dir"):
        lock_data_dir(tmp_path / "file")


def test_node_id_lasts(tmp_path: Path) -> None:
    name = node_id(tmp_path)
    assert len(name) == 32
    assert node_id(tmp_path) == name
    (tmp_path / "other").mkdir()
    assert node_id(tmp_path / "other") != name


def test_damaged_node_id_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node_id").write_text("half")
    with pytest.raises(SetupError, match="restore it"):
        node_id(tmp_path)
