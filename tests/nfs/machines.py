"""Machines with a kernel of their own, as processes of this one (User-mode Linux): no root and no /dev/kvm are needed.

Each sees the files of this host, read-only, below a layer in memory: so it has the same Python and the same mep. They
share a network, and nothing else.
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

PACKAGES = (
    "user-mode-linux",
    "uml-utilities",
    "busybox-static",
    "nfs-kernel-server",
    "nfs-common",
    "libnfsidmap1",
    "libwrap0",
)
"""Of Debian 12; they are downloaded and unpacked for the machines, not installed."""
GUEST = Path(__file__).with_name("guest.py")


class Parts:
    """What all machines are made of, in one folder: a kernel, programs for NFS, and a switch that joins them."""

    def __init__(self, folder: Path):
        self.folder, self.layer = folder, folder / "layer"
        self.kernel = self.layer / "usr/bin/linux.uml"
        if not (folder / "whole").exists():
            self._unpack()
        self.socket = folder / "switch"
        self.socket.unlink(missing_ok=True)
        command = [self.layer / "usr/bin/uml_switch", "-hub", "-unix", self.socket]
        self.switch = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not self.socket.exists():
            time.sleep(0.05)

    def _unpack(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        debs = self.folder / "debs"
        debs.mkdir(parents=True)
        subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=debs, check=True)
        for deb in debs.iterdir():
            subprocess.run(["dpkg", "-x", deb, self.layer], check=True)
        for name in ("bin", "sbin", "lib"):  # on the host they are links into /usr
            if (self.layer / name).is_dir():
                shutil.copytree(self.layer / name, self.layer / "usr" / name, symlinks=True, dirs_exist_ok=True)
                shutil.rmtree(self.layer / name)
        shutil.move(self.layer / "usr/lib/uml/modules", self.layer / "usr/lib/modules")
        (self.folder / "whole").touch()

    def close(self) -> None:
        self.switch.kill()
        self.switch.wait()


class Machine:
    """One machine, off at first."""

    def __init__(self, parts: Parts, name: str, number: int, *, memory_mb: int, disk: Path | None = None):
        self.parts, self.name, self.number = parts, name, number
        self.address, self.memory_mb, self.disk = f"10.9.0.{number}", memory_mb, disk
        self.console = parts.folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        to_guest, self.send = os.pipe()
        receive, from_guest = os.pipe()
        command = [
            self.parts.kernel,
            f"mem={self.memory_mb}M",
            "root=/dev/root",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
        ]
        command += [f"eth0=daemon,52:54:00:09:00:{self.number:02x},unix,{self.parts.socket}"]
        command += ["con=null", "con0=null,fd:1", f"con1=fd:{to_guest},fd:{from_guest}", f"uml_dir={self.parts.folder}"]
        command += [f"ubd0={self.disk}"] if self.disk else []
        python = os.path.realpath(sys.executable)
        command += [f"guest_name={self.name}", f"guest_address={self.address}", f"guest_layer={self.parts.layer}"]
        command += [f"init={python}", "--", GUEST]
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=(to_guest, from_guest),
                start_new_session=True,
            )
        os.close(to_guest)
        os.close(from_guest)
        self.n_asked, self.answers = 0, {0: queue.Queue()}
        threading.Thread(target=self._listen, args=(os.fdopen(receive, "rb"), self.answers), daemon=True).start()
        if Command(self, 0).wait(60).status:
            raise RuntimeError(f"{self.name} does not start: see {self.console}")

    def _listen(self, lines, answers) -> None:
        for line in lines:
            words = json.loads(line)
            answers[words["number"]].put(words)
        for waiting in answers.values():
            waiting.put({"status": -9})

    def begin(self, command: str, **env: str) -> "Command":
        """A command that goes on while others do."""
        self.n_asked += 1
        number = self.n_asked
        self.answers[number] = queue.Queue()
        os.write(self.send, json.dumps({"number": number, "command": command, "env": env}).encode() + b"\n")
        return Command(self, number)

    def run(self, command: str, *, timeout_s: float = 300, status: int | None = 0, **env: str) -> str:
        """What a command prints. RuntimeError where its exit status is another; None takes any."""
        asked = self.begin(command, **env)
        return asked.wait(timeout_s).text if status is None else asked.ended(status, timeout_s)

    def kill(self) -> None:
        """As when its power is cut."""
        if self.process is None:
            return
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        os.close(self.send)

    def freeze(self, for_good: bool = True) -> None:
        os.killpg(self.process.pid, signal.SIGSTOP if for_good else signal.SIGCONT)

    def network(self, up: bool) -> None:
        self.run(f"ip link set eth0 {'up' if up else 'down'}")


class Command:
    """A command of a machine; `text` is what it has printed so far."""

    def __init__(self, machine: Machine, number: int):
        self.machine, self.number = machine, number
        self.text, self.status, self.pid = "", None, 0

    def look(self, wait_s: float = 0) -> bool:
        """Take in what has come meanwhile; whether it has ended."""
        until = time.monotonic() + wait_s
        while self.status is None:
            try:
                words = self.machine.answers[self.number].get(timeout=max(0.001, until - time.monotonic()))
            except queue.Empty:
                return False
            self.text += words.get("text", "").encode("latin-1").decode("utf-8", "replace")
            self.pid = words.get("pid", self.pid)
            self.status = words.get("status")
        return True

    def wait(self, timeout_s: float = 300) -> "Command":
        if not self.look(timeout_s):
            raise TimeoutError(f"{self.machine.name} has not ended after {timeout_s} s:\n{self.text}")
        return self

    def ended(self, status: int, timeout_s: float = 400) -> str:
        """What it has printed, once it has ended; RuntimeError where its exit status is another."""
        if self.wait(timeout_s).status != status:
            raise RuntimeError(f"{self.machine.name} ended with {self.status} instead of {status}:\n{self.text}")
        return self.text

    def until(self, words: str, timeout_s: float = 200, after: int = 0) -> None:
        """Wait until it prints some words, beyond so many characters that it has printed before."""
        end = time.monotonic() + timeout_s
        while words not in self.text[after:]:
            if (self.look(0.2) and words not in self.text[after:]) or time.monotonic() > end:
                raise TimeoutError(f"{self.machine.name} never said '{words}':\n{self.text}")
