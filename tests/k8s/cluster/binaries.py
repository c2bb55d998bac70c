"""The programs of Kubernetes and of what stands beside it, built from the sources of their Go modules."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
TOOLS = {
    "versitygw": "github.com/versity/versitygw/cmd/versitygw",
    "pause": "./pause",
}


def folder(cache: Path) -> Path:
    """Where the programs of the modules' versions are, once they are built."""
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(HERE.glob("*/go.sum")))).hexdigest()[:12]
    return cache / f"bin-{key}"


def build(cache: Path) -> Path:
    """The folder of the programs; builds what is not there, which takes 6 to 12 minutes on two cores the first time."""
    programs = folder(cache)
    programs.mkdir(parents=True, exist_ok=True)
    for name in KUBERNETES:
        _build(programs / name, HERE / "kubernetes", f"k8s.io/kubernetes/cmd/{name}", _version_flags())
    # in the module of Kubernetes: the libraries of both are compiled once
    _build(programs / "coredns", HERE / "kubernetes", "./dns", "")
    for name, package in TOOLS.items():
        _build(programs / name, HERE / "tools", package, "")
    return programs


def _build(program: Path, module: Path, package: str, versions: str) -> None:
    if program.is_file():
        return
    partial = program.with_suffix(".partial")
    # nobody debugs them: without DWARF, compiling takes a seventh less
    flags = ("-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", f"-s -w {versions}")
    subprocess.run(
        ["go", "build", *flags, "-o", str(partial), package],
        cwd=module,
        # a compiler that collects its garbage less often takes more memory, and a fifth less time
        env={"GOGC": "400", **os.environ, "CGO_ENABLED": "0"},
        check=True,
    )
    partial.replace(program)


def _version_flags() -> str:
    # what a release build states; without it the API server calls itself v0.0.0
    line = next(
        line
        for line in (HERE / "kubernetes/go.mod").read_text().splitlines()
        if line.strip().startswith("k8s.io/kubernetes v")
    )
    version = line.split()[1]
    base = "k8s.io/component-base/version"
    major, minor, _ = version.removeprefix("v").split(".")
    return f"-X {base}.gitVersion={version} -X {base}.gitMajor={major} -X {base}.gitMinor={minor}"
