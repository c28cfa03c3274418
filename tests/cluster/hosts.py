"""Hosts on this one machine: a network, a process and a mount namespace each, with an SSH server of their own.

Nothing that runs on such a host sees, or can kill, a process outside it; its process 1 takes all of its own along.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

NEEDED = ("ip", "unshare", "nsenter", "sshd", "ssh", "ssh-keygen", "rsync")


def missing() -> str | None:
    """Why no hosts can be made here; None where they can."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    absent = [name for name in NEEDED if _which(name) is None]
    if absent:
        return f"needs {', '.join(absent)} (apt-get install openssh-server openssh-client iproute2 rsync)"
    tried = subprocess.run(["unshare", "--net", "--pid", "--mount", "--uts", "--fork", "true"], capture_output=True)
    return None if tried.returncode == 0 else "namespaces cannot be made here"


class Network:
    """A switch, and this side of it: commands of `run` reach the hosts, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"study{os.getpid()}"
        self.hosts: list[Host] = []
        self.key = folder / "id_ed25519"
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        _do("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "switch", "type", "bridge")
        self.ip("addr", "add", "10.77.0.1/24", "dev", "switch")
        self.ip("link", "set", "switch", "up")

    def ip(self, *words: str) -> None:
        _do("ip", "-n", self.name, *words)

    def run(self, command: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        """A shell command on this side of the switch."""
        words = ["ip", "netns", "exec", self.name, "bash", "-c", command]
        return subprocess.run(
            words, capture_output=True, text=True, timeout=timeout, env={**os.environ, **environment}, cwd=self.folder
        )

    def popen(self, command: str, **environment: str) -> "subprocess.Popen[str]":
        """The same, in the background."""
        words = ["ip", "netns", "exec", self.name, "bash", "-c", command]
        return subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
            cwd=self.folder,
            start_new_session=True,
        )

    def host(self, name: str) -> "Host":
        """A new host, which sees this machine's files."""
        host = Host(self, name, len(self.hosts) + 2)
        self.hosts.append(host)
        return host

    def close(self) -> None:
        for host in self.hosts:
            host.kill()
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


class Host:
    """One machine: its address, and how to run, look and kill there."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.name, self.address = name, f"10.77.0.{number}"
        self.namespace = f"{network.name}-{name}"
        self.folder = network.folder / name
        self.home = self.folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        for source, target in ((network.key, "id_ed25519"), (network.key.with_suffix(".pub"), "authorized_keys")):
            shutil.copy(source, self.home / ".ssh" / target)
        (self.folder / "passwd").write_text(
            Path("/etc/passwd").read_text().replace("root:x:0:0:root:/root:", f"root:x:0:0:root:{self.home}:")
        )
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {name}\n")
        _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "host_key")
        (self.folder / "sshd_config").write_text(
            f"HostKey {self.folder}/host_key\nListenAddress {self.address}\nAuthorizedKeysFile .ssh/authorized_keys\n"
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n"
            f"AcceptEnv *\n"
        )
        _do("ip", "netns", "add", self.namespace)
        _do("ip", "-n", self.namespace, "link", "set", "lo", "up")
        network.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        network.ip("link", "set", name, "master", "switch", "up")
        _do("ip", "-n", self.namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        _do("ip", "-n", self.namespace, "link", "set", "eth0", "up")
        # what Ray keeps in /tmp/ray and /dev/shm is the host's own, like its home and its name
        start = (
            "mount --make-rprivate / && mkdir -p /tmp/ray && mount -t tmpfs tmpfs /tmp/ray && "
            "mount -t tmpfs -o size=1g tmpfs /dev/shm && mount -t tmpfs tmpfs /run && mkdir -p /run/sshd && "
            f"mount --bind {self.folder}/passwd /etc/passwd && mount --bind {self.folder}/hosts /etc/hosts && "
            f"hostname {name} && exec {_which('sshd')} -D -e -f {self.folder}/sshd_config"
        )
        self.log = (self.folder / "log").open("w")
        namespaces = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--uts", "--ipc"]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *namespaces, "bash", "-c", start],
            stdout=self.log,
            stderr=self.log,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )
        self._await(network)

    def _await(self, network: Network) -> None:
        for _ in range(100):
            if network.run(f"exec 3<>/dev/tcp/{self.address}/22").returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.name}: no SSH server; {(self.folder / 'log').read_text()}")

    def first_process(self) -> int:
        """The host's process 1, as this machine numbers it."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def run(self, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """A shell command on the host itself, as after login."""
        words = ["nsenter", "--target", str(self.first_process()), "--all", "bash", "-ic", command]
        home = {"HOME": str(self.home), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        return subprocess.run(words, capture_output=True, text=True, timeout=timeout, env=home)

    def pids(self) -> list[int]:
        """What runs there, its SSH server left out, as this machine numbers it."""
        inside = Path(f"/proc/{self.first_process()}/ns/pid").readlink()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
                if (process / "ns/pid").readlink() == inside and command and not command.startswith(b"sshd:"):
                    found.append(int(process.name))
            except OSError:
                pass  # ended meanwhile, or out of reach
        return [each for each in found if each != self.first_process()]

    def processes(self) -> list[str]:
        """Their command lines."""
        return [Path(f"/proc/{each}/cmdline").read_text().replace("\0", " ").strip() for each in self.pids()]

    def kill(self) -> None:
        """Pull the plug."""
        if self.process.poll() is None:
            os.kill(self.first_process(), signal.SIGKILL)
            self.process.wait(timeout=20)
        self.log.close()
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True)


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _do(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(map(str, words))}: {done.stderr.strip()}")
