"""A real Kubernetes of one node in a network namespace of its own: up, down, and nothing left behind.

Upstream's programs as processes, containerd with its state in one folder, DNS beside the node. No CNI plugin of this
kind enforces NetworkPolicies: they are checked by the API server only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.k8s.cluster import config
from tests.k8s.cluster.config import ADDRESS, BRIDGE

# kept short: sockets below it have at most 108 bytes for their path
DEFAULT_FOLDER = Path("/tmp/heldout-k8s")
READY_SECONDS = 120.0
STOP_SECONDS = 15.0
PROCESSES = (
    "kubelet", "coredns", "kube-proxy", "kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd",
)  # fmt: skip
# what kubelet sets for itself
KERNEL_SETTINGS = ("vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops")
# of kubelet's pods, and of containerd's containers
CGROUPS = ("kubepods", "k8s.io")
CLONE_NEWNET = 0x40000000


class NotReady(Exception):
    pass


class CommandFailed(Exception):
    """A command ended with another exit code than 0; the message is what it said."""


class Node:
    """The cluster whose state, logs and credentials are in `folder`."""

    def __init__(self, binaries: Path, images: Path, folder: Path = DEFAULT_FOLDER) -> None:
        """A node with the programs in one folder, which has the images that a containerd has unpacked in another."""
        self.folder = folder
        self._binaries, self._images = binaries, images
        self._namespace = folder.name

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "admin.kubeconfig"

    @property
    def containerd(self) -> Path:
        return self.folder / "run/containerd.sock"

    def up(self) -> None:
        """Starts everything and waits until the node is ready and names are resolved.

        What an earlier cluster in this folder left, killed with its tests, is removed first.

        Raises:
            NotReady: a part did not come up; `folder/log` says why, and is kept.
        """
        self.down()
        for name in ("log", "pki", "cni", "volumes"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._keep_kernel_settings()
        self._take_images()
        self._make_network()
        config.write(self.folder)
        self._start_processes()

    def _start_processes(self) -> None:
        folder, run = self.folder, self._start
        # / is a private mount on some machines; containerd and kubelet share a mount namespace in which it is not
        shared = f"mount --make-rshared / && exec containerd -c {folder}/containerd.toml"
        run("containerd", "unshare", "-m", "--propagation", "private", "sh", "-c", shared)
        run("etcd", "etcd", *config.etcd(folder))
        self._wait("etcd", lambda: self._inside("curl", "-fs", "http://127.0.0.1:2379/health"))
        run("kube-apiserver", self._program("kube-apiserver"), *config.apiserver(folder))
        self._wait("containerd", lambda: self.ctr("version"))
        self._wait("kube-apiserver", lambda: self.kubectl("get", "--raw", "/readyz"))
        run("kube-controller-manager", self._program("kube-controller-manager"), *config.controller_manager(folder))
        run("kube-scheduler", self._program("kube-scheduler"), *config.scheduler(folder))
        mounts = ("nsenter", f"--mount=/proc/{self._pid('containerd')}/ns/mnt")
        run("kubelet", *mounts, self._program("kubelet"), *config.kubelet(folder))
        run("kube-proxy", self._program("kube-proxy"), f"--config={folder}/kube-proxy.yaml")
        run("coredns", self._program("coredns"), "-conf", f"{folder}/Corefile")
        self.kubectl("apply", "-f", str(folder / "addons.json"))
        ready = "jsonpath={.items[0].status.conditions[?(@.type=='Ready')].status}"
        self._wait("node", lambda: self.kubectl("get", "nodes", "-o", ready) == "True" or _fail())
        self._wait("coredns", lambda: self._inside("curl", "-fs", "http://127.0.0.1:8181/ready"))

    def down(self) -> None:
        """Ends every process and container and removes namespaces, mounts, cgroups and the folder."""
        if not self.folder.is_dir():
            return
        for name in PROCESSES:
            self._stop(name)
        for task in self._tasks():
            for command in (("tasks", "kill", "-s", "9", task), ("tasks", "rm", "-f", task)):
                with contextlib.suppress(CommandFailed):
                    self.ctr(*command)
        self._stop("containerd")
        # shims outlive containerd
        for pid in _processes_with(str(self.containerd)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._unmount()
        self._remove_network()
        self._restore_kernel_settings()
        for cgroup in CGROUPS:
            _remove_cgroups(cgroup)
        shutil.rmtree(self.folder)
        _remove_what_is_elsewhere()

    def left_behind(self) -> list[str]:
        """What is there of the cluster after `down`; nothing, if all is well."""
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        cgroups = [str(path) for name in CGROUPS for path in _cgroups(name)]
        folders = [str(path) for path in (self.folder, Path(f"/run/netns/{self._namespace}")) if path.exists()]
        networks = [str(path) for path in Path("/run/netns").glob("cni-*")]
        return [
            *(mount for mount in mounts if mount.startswith(str(self.folder))),
            *(f"process {pid}" for pid in _processes_with(f"{self.folder}/")),
            *cgroups,
            *folders,
            *networks,
        ]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Output of `kubectl ARGUMENTS` as the administrator."""
        return self._inside("kubectl", "--kubeconfig", str(self.kubeconfig), *arguments, stdin=stdin)

    def ctr(self, *arguments: str) -> str:
        """Output of containerd's own command in the namespace of Kubernetes."""
        return _output("ctr", "-a", str(self.containerd), "-n", "k8s.io", *arguments)

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Moves the calling thread, and what it starts, into the network of the cluster.

        That the API server, pods and forwarded ports can be reached as they are written.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        inside_path = Path(f"/run/netns/{self._namespace}")
        with Path("/proc/self/ns/net").open() as before, inside_path.open() as inside:
            _enter(libc, inside.fileno())
            try:
                yield
            finally:
                _enter(libc, before.fileno())

    def _start(self, name: str, *command: str) -> None:
        # not `ip netns exec`: that mounts /sys anew and hides the cgroups
        with (self.folder / "log" / name).open("wb") as log:
            process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self._namespace}", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.folder / f"{name}.pid").write_text(str(process.pid))

    def _pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def _stop(self, name: str) -> None:
        try:
            pid = self._pid(name)
            # the number may be another's by now
            if str(self.folder) not in Path(f"/proc/{pid}/cmdline").read_text():
                return
        except OSError:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            end = time.monotonic() + STOP_SECONDS
            while _is_alive(pid) and time.monotonic() < end:
                time.sleep(0.05)

    def _tasks(self) -> list[str]:
        try:
            return self.ctr("tasks", "ls", "-q").split()
        except CommandFailed:
            return []

    def _inside(self, *command: str, stdin: str | None = None) -> str:
        return _output("nsenter", f"--net=/run/netns/{self._namespace}", *command, stdin=stdin)

    def _program(self, name: str) -> str:
        return str(self._binaries / name)

    def _wait(self, name: str, ready: Callable[[], object]) -> None:
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                ready()
                return
            except (CommandFailed, OSError) as error:
                if time.monotonic() > end:
                    log = (self.folder / "log" / name).read_text() if (self.folder / "log" / name).is_file() else ""
                    raise NotReady(f"{name}: not ready after {READY_SECONDS:.0f} s\n{log[-2000:]}") from error
            time.sleep(0.2)

    def _make_network(self) -> None:
        _output("ip", "netns", "add", self._namespace)
        for line in (
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"addr add {ADDRESS}/24 dev {BRIDGE}",
            f"link set {BRIDGE} up",
            # packets to services need a route before kube-proxy rewrites them
            f"route add default via {ADDRESS} dev {BRIDGE}",
        ):
            self._inside("ip", *line.split())

    def _remove_network(self) -> None:
        for path in Path("/run/netns").glob("cni-*"):
            subprocess.run(["umount", "-l", str(path)], stderr=subprocess.DEVNULL, check=False)
            path.unlink(missing_ok=True)
        if Path(f"/run/netns/{self._namespace}").exists():
            _output("ip", "netns", "del", self._namespace)

    def _unmount(self) -> None:
        points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for point in sorted((p for p in points if p.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "-l", point], check=False)

    def _take_images(self) -> None:
        """Links what is written once, layers and blobs, and copies what changes: containerd's own records."""
        target = self.folder / "containerd"
        # of another disk, all has to be copied
        same = self._images.stat().st_dev == self.folder.stat().st_dev
        _output("cp", "--archive", *(["--link"] if same else []), str(self._images), str(target))
        for path in self._images.glob("*/*.db"):
            copy = target / path.relative_to(self._images)
            copy.unlink(missing_ok=True)
            shutil.copy2(path, copy)

    def _keep_kernel_settings(self) -> None:
        values = _output("sysctl", "-n", *KERNEL_SETTINGS).split()
        lines = [f"{name}={value}" for name, value in zip(KERNEL_SETTINGS, values, strict=True)]
        (self.folder / "sysctl").write_text("\n".join(lines))

    def _restore_kernel_settings(self) -> None:
        with contextlib.suppress(OSError):
            _output("sysctl", "-qw", *(self.folder / "sysctl").read_text().split())


def _fail() -> None:
    raise OSError("not yet")


def _enter(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _output(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise CommandFailed(
            f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


def _is_alive(pid: int) -> bool:
    try:
        # a child of this process is reaped, others are their parent's
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _processes_with(text: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text in path.read_text() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


def _cgroups(name: str) -> list[Path]:
    """Of the first version of cgroups one for each controller, of the second one."""
    return [*Path("/sys/fs/cgroup").glob(f"*/{name}"), *Path("/sys/fs/cgroup").glob(name)]


def _remove_cgroups(name: str) -> None:
    for top in _cgroups(name):
        for folder in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()


def _remove_what_is_elsewhere() -> None:
    """Empty folders that kubelet and the CNI plugins make at places that are not theirs to choose."""
    for path in (Path("/var/log/containers"), Path("/var/lib/kubelet/device-plugins")):
        shutil.rmtree(path, ignore_errors=True)
    for path in Path("/var/lib/cni/results").glob("pods-*"):
        path.unlink()
    for name in (
        "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
        "/usr/libexec/kubernetes/kubelet-plugins/volume",
        "/usr/libexec/kubernetes/kubelet-plugins",
        "/usr/libexec/kubernetes",
        "/var/lib/kubelet",
        "/var/lib/cni/results",
        "/var/lib/cni/networks",
        "/var/lib/cni",
    ):
        with contextlib.suppress(OSError):
            Path(name).rmdir()
