"""Host files: what is taken, and the one sentence for each that is not."""

import json
import os
from pathlib import Path
from typing import Any

from engine.cluster.host_file import read_hosts, save_measured, write_hosts
from engine.errors import UserError

import pytest

FIRST = {"ips": ["127.0.0.1"]}
OTHER = {"ssh": "mac2.local", "ips": ["127.0.0.2"]}


def host_file(folder: Path, content: Any) -> Path:
    path = folder / "hosts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def with_env(text: str) -> dict[str, Any]:
    return {"hosts": [FIRST, OTHER], "envs": [text]}


def test_both_forms_are_taken_and_the_first_host_is_this_machine_by_any_name(tmp_path: Path) -> None:
    """A list, as `mlx.launch` takes it, and an object."""
    named = {"ssh": "mac1.local", "ips": ["127.0.0.1"]}
    world = read_hosts(host_file(tmp_path, [named, OTHER]))
    assert world.backend == "ring" and world.is_spread and world.here == 1
    assert [host.is_here for host in world.hosts] == [True, False]
    content = {"hosts": [FIRST, OTHER], "envs": ["PATH=/opt/bin:/bin", "PYTHONPATH=/x"], "backend": "ring"}
    world = read_hosts(host_file(tmp_path, content))
    assert world.envs == ("PATH=/opt/bin:/bin", "PYTHONPATH=/x")
    assert read_hosts(write_hosts(world, tmp_path)) == world


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[{},\n7 8]", "it is not JSON from line 2, column 3 on"),
        ("[" * 100_000, "JSON is nested too deeply"),
        ("[]", "1 to 64 hosts"),
        ("7", "list of 1 to 64 hosts"),
        (json.dumps([{}] * 65), "1 to 64 hosts"),
        ({"hosts": [{}], "port\x1b[2J": 1}, r"nobody knows its field port\x1b[2J"),
        ({"hosts": [{}], "backend": "mpi"}, "none of ring, nccl, jaccl"),
        ([1], "host 1 is no object"),
        ([{"sh": "x"}], "Unknown key 'sh'"),
        ([{"ssh": ["x"]}], "'ssh'"),
        ([FIRST, OTHER | {"ssh": "-oProxyCommand"}], "has to begin with a letter or digit"),
        ([FIRST, OTHER | {"ssh": "me@-oProxyCommand=reboot"}], "'=' stands in it"),
        ([FIRST, OTHER | {"ssh": "mac2\n"}], "'⏎' stands in it"),
        ([FIRST, OTHER | {"ssh": "mäc2"}], "'ä' stands in it; a name has letters from a to z"),
        ([FIRST, OTHER | {"ssh": "mac2:22"}], "no port behind a name"),
        ([FIRST, OTHER | {"ssh": "m" * 10_000}], "longer than 255 letters"),
        ([FIRST, OTHER | {"ssh": "mac2;reboot"}], "'ssh'"),
        ([FIRST, OTHER | {"ips": ["999.0.0.2"]}], "'ips' in host 2 of"),
        ([FIRST, OTHER | {"ips": ["mac2.local"]}], "mac2.local is no IPv4 address"),
        ([FIRST, OTHER | {"ips": "127.0.0.2"}], "'ips'"),
        ([FIRST, OTHER | {"ips": ["127.0.0.2"] * 9}], "a list of texts, at most 8"),
        ([FIRST, OTHER | {"python": "python3"}], "does not begin with /"),
        ([FIRST, OTHER | {"python": "/A=1/python"}], "there is a = in it"),
        ([FIRST, OTHER | {"project": "/x\nreboot"}], "cannot be seen"),
        ([FIRST | {"speed": 0}, OTHER | {"speed": 1}], "'speed'"),
        ('[{"speed": Infinity}]', "'speed'"),
        ('[{"speed": NaN}]', "'speed'"),
        ([FIRST | {"speed": True}, OTHER | {"speed": 1}], "'speed'"),
        ('[{"bandwidth": -1}]', "'bandwidth'"),
        ([FIRST | {"speed": 900}, OTHER], "some hosts have a speed"),
        ([FIRST, {"ssh": "mac2"}], "mac2 has no address in ips"),
        ([FIRST, OTHER | {"ips": ["fe80::1"]}], "fe80::1 is of IPv6"),
        ([FIRST, OTHER | {"ips": ["0.0.0.0"]}], "0.0.0.0 is no address of one machine"),
        ([FIRST, OTHER | {"ips": ["127.0.0.1"]}], "two hosts have the address 127.0.0.1"),
        ([FIRST, OTHER, OTHER], "mac2.local stands there twice"),
        ([FIRST, OTHER | {"ips": ["127.0.0.2", "127.0.0.3"]}], "equally many addresses"),
        ([FIRST, OTHER | {"ips": ["192.0.2.1"]}], "leads to no other machine"),
        ([{"ips": ["192.0.2.1"]}, OTHER | {"ips": ["192.0.2.2"]}], "192.0.2.1 is no address of this machine"),
        ([{"ssh": "mac1", "ips": ["192.0.2.1"]}, OTHER | {"ips": ["192.0.2.2"]}], "has to be this machine"),
        ({"hosts": [FIRST, OTHER], "backend": "jaccl"}, "RDMA device"),
        ({"hosts": [FIRST], "envs": "A=1"}, "no list of NAME=value"),
        (with_env("-S sh"), "no list of NAME=value"),
        (with_env("A=1\n"), "no list of NAME=value"),
        (with_env("A B=1"), '"A B=1" is none'),
        (with_env("PYTHONHOME=/x"), "PYTHONHOME, which is each machine's own"),
        (with_env("MQLORA_SSH=x"), "each machine's own"),
        (with_env("BASH_ENV=/x"), "BASH_ENV, which loads foreign code"),
        (with_env("LD_PRELOAD=/x.so"), "LD_PRELOAD, which loads foreign code"),
        (with_env("DYLD_INSERT_LIBRARIES=/x"), "loads foreign code"),
        (with_env("MLX_HOSTFILE=/x"), "which this program sets"),
        (with_env("MLX_METAL_FAST_SYNCH=1"), "GPU stuck"),
        ({"hosts": [FIRST, OTHER], "envs": ["A=1", "A=2"]}, "sets A twice"),
    ],
)
def test_others_are_refused_in_one_sentence(tmp_path: Path, content: Any, reason: str) -> None:
    """It says what is wrong, and nothing in it steers a terminal."""
    with pytest.raises(UserError) as refused:
        read_hosts(host_file(tmp_path, content))
    assert reason in refused.value.problem and refused.value.fix and "docs/" not in refused.value.fix
    assert "\x1b" not in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_no_plain_file_or_far_too_large_is_not_read(tmp_path: Path) -> None:
    """Nothing is waited for; a link is what it leads to."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    large.write_bytes(b" " * ((1 << 20) + 1))
    for path, reason in (
        (pipe, "named pipe"),
        (large, "larger than"),
        (tmp_path, "folder"),
        (tmp_path / "no", "No"),
    ):
        with pytest.raises(UserError, match=reason):
            read_hosts(path)
    link = tmp_path / "link"
    link.symlink_to(host_file(tmp_path, [{}]))
    assert read_hosts(link).size == 1


def test_measured_values_are_written_beside_what_was_there(tmp_path: Path) -> None:
    """Through a link into the file itself; a file that has other hosts by now is left alone."""
    content = {"hosts": [FIRST, OTHER | {"project": "/p"}], "envs": ["A=1"]}
    path, link = host_file(tmp_path, content), tmp_path / "link"
    link.symlink_to(path)
    save_measured(link, [{"speed": 90.5}, {"speed": 30.0, "bandwidth": 110.0, "latency": 0.2}])
    assert link.is_symlink()
    first, second = json.loads(path.read_text())["hosts"]
    assert first == FIRST | {"speed": 90.5}
    assert second == OTHER | {"project": "/p", "speed": 30.0, "bandwidth": 110.0, "latency": 0.2}
    before = path.read_bytes()
    with pytest.raises(UserError, match="changed meanwhile"):
        save_measured(path, [{"speed": 1.0}])
    assert path.read_bytes() == before
