"""Defaults that follow the cores and the memory of the machine, or of the container."""

import pytest

from hub import environment


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    """Return a function that sets the limits of a container on a machine of 16 cores and 64 GiB."""
    monkeypatch.setattr(environment, "MEMORY_MAX", tmp_path / "memory.max")
    monkeypatch.setattr(environment, "CPU_MAX", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(16))
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 64 << 18, "SC_PAGE_SIZE": 4096}.__getitem__)

    def limit(cpu: str = "max 100000", memory: str = "max") -> None:
        (tmp_path / "cpu.max").write_text(f"{cpu}\n")
        (tmp_path / "memory.max").write_text(f"{memory}\n")

    return limit


@pytest.mark.parametrize(
    ("cpu", "memory", "slots", "web"),
    [
        ("max 100000", "max", 16, 8),
        ("200000 100000", "max", 2, 2),
        ("450000 100000", str(64 << 30), 4, 4),
        ("50000 100000", str(256 << 20), 1, 2),
        ("max 100000", str(3 << 30), 1, 6),
    ],
)
def test_processes_follow_the_share_of_a_container(cgroup, cpu, memory, slots, web):
    cgroup(cpu, memory)
    assert (environment.slots(), environment.web_processes()) == (slots, web)


def test_the_pool_of_connections_is_ten_or_what_the_url_says():
    def pool(query: str) -> object:
        options = environment.database(f"postgres://u:p@h:5432/n{query}")["OPTIONS"]
        return options["pool"]["max_size"]

    assert (pool(""), pool("?pool_size=3"), pool("?sslmode=require&pool_size=25")) == (10, 3, 25)
    for wrong in ("0", "x", "-1", "1.5"):
        with pytest.raises(ValueError, match="pool_size of at least 1"):
            pool(f"?pool_size={wrong}")
