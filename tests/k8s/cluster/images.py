"""The images of the tests, built here and moved into the node without a registry."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.k8s.cluster import binaries
from tests.k8s.cluster.binaries import HERE
from tests.k8s.cluster.node import Node

PROJECT = HERE.parents[2]
HELDOUT, POSTGRES, S3 = "heldout.local/heldout:test", "heldout.local/postgres:15", "heldout.local/versitygw:1.8.0"
BASE, PAUSE = "heldout.local/base:bookworm", "heldout.local/pause:1"
PACKAGES = ("python3", "python3-venv", "ca-certificates", "git", "tini", "libgomp1", "postgresql-15")
POSTGRES_PROGRAMS = "/usr/lib/postgresql/15/bin"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# what only people read
UNUSED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


class Images:
    """Images in a storage of their own below `cache`, which a second run finds again."""

    def __init__(self, cache: Path) -> None:
        self._store = cache / "images"
        # the state of one boot of the machine
        self._options = [
            "--root",
            str(self._store),
            "--runroot",
            str(cache / "images-run"),
            "--storage-driver",
            "overlay",
        ]

    def build(self) -> None:
        """Builds what is not there; the project's image always, which takes seconds where only code has changed."""
        if not self._exists(BASE):
            self._build_base()
        self._build_postgres()
        self._build_project()

    def build_programs(self, binaries: Path) -> None:
        """Builds the images of single programs, from those in a folder."""
        self._build_single(PAUSE, binaries / "pause", "/pause")
        self._build_single(S3, binaries / "versitygw", "/usr/local/bin/versitygw")

    def load(self, node: Node, name: str) -> None:
        """Moves an image into the node, through a pipe: an archive would take as much disk as the image."""
        with tempfile.TemporaryDirectory() as folder:
            pipe = Path(folder) / "image.tar"
            os.mkfifo(pipe)
            push = subprocess.Popen(
                ["buildah", *self._options, "push", "--quiet", name, f"docker-archive:{pipe}:{name}"]
            )
            node.ctr("images", "import", str(pipe))
            if push.wait() != 0:
                raise RuntimeError(f"{name}: buildah push ended with exit code {push.returncode}")

    def _build_base(self) -> None:
        """Debian with Python for the project's image, and PostgreSQL."""
        with tempfile.TemporaryDirectory(dir=self._store.parent) as folder:
            root = Path(folder) / "root"
            _run(
                "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", str(root), _mirror()
            )
            for name in UNUSED:
                shutil.rmtree(root / name, ignore_errors=True)
            container = self._buildah("from", "scratch")
            self._buildah("add", "--quiet", container, str(root), "/")
            path = f"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{POSTGRES_PROGRAMS}"
            self._buildah("config", "--env", f"PATH={path}", "--cmd", "bash", container)
            self._buildah("commit", "--quiet", "--rm", container, BASE)

    def _build_postgres(self) -> None:
        if self._exists(POSTGRES):
            return
        container = self._buildah("from", "--pull-never", BASE)
        # as in the official image
        user = "usermod --uid 999 postgres && groupmod --gid 999 postgres"
        self._buildah("run", "--isolation", "chroot", container, "--", "sh", "-c", user)
        self._buildah("commit", "--quiet", "--rm", container, POSTGRES)

    def _build_single(self, name: str, program: Path, path: str) -> None:
        if self._exists(name):
            return
        container = self._buildah("from", "scratch")
        self._buildah("add", "--quiet", container, str(program), path)
        self._buildah("config", "--entrypoint", f'["{path}"]', container)
        self._buildah("commit", "--quiet", "--rm", container, name)

    def _build_project(self) -> None:
        uv_cache = Path(_output("uv", "cache", "dir") if shutil.which("uv") else Path.home() / ".cache/uv")
        uv_cache.mkdir(parents=True, exist_ok=True)
        _run(
            str(PROJECT / "k8s/image/build"),
            HELDOUT,
            # no user namespaces, no network of its own: also where this runs in a container
            *("--isolation", "chroot", "--network", "host", "--pull-never", "--layers", "--quiet"),
            *("--volume", f"{uv_cache}:/root/.cache/uv", "--build-arg", "UV_NO_CACHE=0"),
            *("--volume", f"{CERTIFICATES.parent}:{CERTIFICATES.parent}:ro"),
            *("--build-arg", f"SSL_CERT_FILE={CERTIFICATES}"),
            environment={"ENGINE": " ".join(["buildah", *self._options]), "BASE": BASE},
        )

    def _exists(self, name: str) -> bool:
        command = ["buildah", *self._options, "inspect", "--type", "image", name]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _buildah(self, *arguments: str) -> str:
        return _output("buildah", *self._options, *arguments)


def build(cache: Path) -> Path:
    """Builds programs and images, what is not there yet; returns the folder of the programs."""
    images = Images(cache)
    # one of them compiles while the other waits for packages and for the disk
    with ThreadPoolExecutor() as pool:
        built = pool.submit(images.build)
        programs = binaries.build(cache)
        built.result()
    images.build_programs(programs)
    return programs


def load(node: Node, cache: Path) -> None:
    """Moves all images into the node."""
    images = Images(cache)
    for name in (PAUSE, POSTGRES, S3, HELDOUT):
        images.load(node, name)


def _mirror() -> str:
    """Where this machine has its own packages from."""
    lines = _output("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)").splitlines()
    return next(uri for codename, uri in map(str.split, lines) if codename == "bookworm")


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
