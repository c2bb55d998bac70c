"""python -m tests.k8s.cluster up|down|load: a cluster to develop with, the same as that of the tests."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.k8s.cluster import binaries, images, needs
from tests.k8s.cluster.node import Node

CACHE = Path.home() / ".cache/heldout-k8s"


def main(command: str) -> int:
    if reason := needs.missing(CACHE):
        sys.stderr.write(f"{reason}\n")
        return 2
    node = Node(binaries.folder(CACHE), CACHE / "containerd")
    if command == "down":
        node.down()
        return 0
    images.build(CACHE)
    if command == "up":
        node.up()
    else:
        images.Images(CACHE).load(images.SYSTEMS, node.folder / "containerd", node.containerd)
    sys.stdout.write(
        f"nsenter --net=/run/netns/{node.folder.name} bash   # then\nexport KUBECONFIG={node.kubeconfig}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
