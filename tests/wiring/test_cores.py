"""How many cores a server may use, as its control groups have it."""

from pathlib import Path

import pytest

from app.wiring.machine import available_cores


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        pytest.param("0::/", {"cpu.max": "100000 100000"}, 1, id="a container"),
        pytest.param("0::/", {"cpu.max": "max 100000"}, 64, id="no quota"),
        pytest.param("0::/", {"cpu.max": "50000 100000"}, 1, id="half a core"),
        pytest.param(
            "0::/a/b", {"a/b/cpu.max": "300000 100000", "a/cpu.max": "200000 100000"}, 2, id="a unit"
        ),
        pytest.param(
            "4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n0::/docker/1",
            {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "50000"},
            3,
            id="a container of version 1",
        ),
        pytest.param(
            "3:cpu:/",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            64,
            id="none of version 1",
        ),
        pytest.param("", {}, 64, id="no groups"),
    ],
)
def test_quota_of_a_control_group_bounds_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str], cores: int
) -> None:
    """More threads than that would be stopped in the middle of a forward pass."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")

    assert available_cores(tmp_path) == cores
