"""The first process of a machine: it mounts what there is to mount, then carries out what is asked of it.

The kernel's command line says who it is: guest_name=, guest_address= and guest_layer=, with programs for NFS. Questions
come as lines of JSON through its second terminal, answers go the same way: what a command has printed, bit by bit, and
its exit status at the end.
"""

import json
import os
import socket
import subprocess
import threading
import tty
from pathlib import Path

MODULES = ("nfsv4", "nfsd")


def call(*command):
    subprocess.run(command, check=True)


def mount(kind, place, options="defaults"):
    Path(place).mkdir(parents=True, exist_ok=True)
    call("mount", "-t", kind, "-o", options, kind, place)


def make_root(layer):
    """This host's files, below a layer with the programs for NFS and one in memory."""
    mount("tmpfs", "/mnt")
    for name in ("upper", "work", "root"):
        os.mkdir(f"/mnt/{name}")
    call(f"{layer}/usr/bin/busybox", "insmod", *Path(layer, "usr/lib/modules").glob("*/kernel/fs/overlayfs/overlay.ko"))
    mount("hostfs", "/mnt/layer", f"ro,{layer}")  # one layer may not lie within another
    mount("overlay", "/mnt/root", "lowerdir=/mnt/layer:/,upperdir=/mnt/upper,workdir=/mnt/work")
    os.chroot("/mnt/root")
    os.chdir("/")
    for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/dev/shm")):
        mount(kind, place)
    for module in MODULES:
        call("busybox", "modprobe", module)


def answer(question, say):
    process = subprocess.Popen(
        ["bash", "-c", question["command"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | question["env"],
    )
    say({"number": question["number"], "pid": process.pid})
    while text := os.read(process.stdout.fileno(), 2048):
        say({"number": question["number"], "text": text.decode("latin-1")})
    say({"number": question["number"], "status": process.wait()})


def main():
    name, address, layer = (os.environ[f"guest_{word}"] for word in ("name", "address", "layer"))
    os.environ |= {"PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin", "HOME": "/root", "LANG": "C.UTF-8"}
    make_root(layer)
    socket.sethostname(name)
    call("ip", "link", "set", "lo", "up")
    call("ip", "addr", "add", f"{address}/24", "dev", "eth0")
    call("ip", "link", "set", "eth0", "up")
    lock = threading.Lock()
    with open("/dev/tty1", "r+b", buffering=0) as terminal:
        tty.setraw(terminal)
        questions = os.fdopen(os.dup(terminal.fileno()), "rb")

        def say(words):
            with lock:
                left = json.dumps(words).encode() + b"\n"
                while left:
                    left = left[terminal.write(left) :]

        say({"number": 0, "status": 0})
        for line in questions:
            threading.Thread(target=answer, args=(json.loads(line), say), daemon=True).start()


main()
