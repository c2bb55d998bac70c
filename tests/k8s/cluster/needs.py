"""What a cluster of one's own needs of the machine, and why it cannot be where something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

FREE_DISK_GB = 40
# by the Debian packages that bring them
PROGRAMS = {
    "containerd": ("containerd", "ctr"),
    "runc": ("runc",),
    "etcd-server": ("etcd",),
    "iptables": ("iptables",),
    "nftables": ("nft",),
    "conntrack": ("conntrack",),
    "ebtables": ("ebtables",),
    "ipset": ("ipset",),
    "socat": ("socat",),
    "debootstrap": ("debootstrap",),
    "buildah": ("buildah",),
    "openssl": ("openssl",),
    "iproute2": ("ip",),
    "util-linux": ("nsenter", "unshare"),
}
CNI_PLUGINS = Path("/usr/lib/cni")


def missing(cache: Path) -> str | None:
    """The reason why no cluster can be made here; None when one can.

    Args:
        cache: where builds are kept; the disk it is on has to have room for the image and the node.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a cluster of its own needs root on Linux; HELDOUT_KUBE_CONTEXT=NAME uses one that is there"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        return "a cluster of its own needs to mount (CAP_SYS_ADMIN); HELDOUT_KUBE_CONTEXT=NAME uses one that is there"
    packages = [name for name, programs in PROGRAMS.items() if not all(map(shutil.which, programs))]
    if not (CNI_PLUGINS / "bridge").is_file():
        packages.append("containernetworking-plugins")
    if packages:
        return f"programs of these packages are missing: apt-get install {' '.join(packages)}"
    for program in ("go", "kubectl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free / 1e9
    # what an earlier run has built is there already
    wanted = FREE_DISK_GB if not (cache / "images").is_dir() else FREE_DISK_GB / 2
    if free < wanted:
        return f"{cache} has {free:.0f} GB of free disk; expected {wanted:.0f}"
    return None
