"""The images of the tests, built here and moved into the node without a registry.

Buildah builds them; a containerd that runs nothing unpacks them in the cache, once, and layer by layer: of an image
whose code has changed, only that layer is moved. A node begins with what is unpacked there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.k8s.cluster import binaries, config
from tests.k8s.cluster.binaries import HERE

PROJECT = HERE.parents[2]
HELDOUT, POSTGRES, S3 = "heldout.local/heldout:test", "heldout.local/postgres:15", "heldout.local/versitygw:1.8.0"
BASE, PAUSE = "heldout.local/base:bookworm", "heldout.local/pause:1"
SYSTEMS, PROGRAMS = (POSTGRES, HELDOUT), (PAUSE, S3)
PACKAGES = ("python3", "python3-venv", "ca-certificates", "git", "tini", "libgomp1", "postgresql-15")
POSTGRES_PROGRAMS = "/usr/lib/postgresql/15/bin"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# what only people read
UNUSED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
BLOBS = Path("io.containerd.content.v1.content/blobs")
START_SECONDS = 60.0


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

    def build_and_load(self, root: Path, socket: Path) -> None:
        """Both, for all images but those of single programs."""
        self.build()
        self.load(SYSTEMS, root, socket)

    def load(self, names: Sequence[str], root: Path, socket: Path) -> None:
        """Moves what is new of images into the containerd behind a socket, whose data are in `root`."""
        ctr = ("ctr", "-a", str(socket), "-n", "k8s.io", "images")
        there = _output(*ctr, "list", "--quiet").split()
        for name in names:
            with tempfile.TemporaryDirectory(dir=self._store.parent) as folder:
                if name in there:
                    self._load_what_is_new(name, root / BLOBS, ctr, Path(folder))
                else:
                    self._load_whole(name, ctr, Path(folder))

    def _load_whole(self, name: str, ctr: Sequence[str], place: Path) -> None:
        # through a pipe: an archive would take as much disk as the image
        pipe = place / "image.tar"
        os.mkfifo(pipe)
        push = ("buildah", *self._options, "push", "--quiet", name, f"docker-archive:{pipe}:{name}")
        with subprocess.Popen(push) as pushed:
            _output(*ctr, "import", str(pipe))
        if pushed.returncode != 0:
            raise RuntimeError(f"{name}: buildah push ended with exit code {pushed.returncode}")

    def _load_what_is_new(self, name: str, blobs: Path, ctr: Sequence[str], place: Path) -> None:
        repository, tag = name.rsplit(":", 1)
        # buildah writes no blob that is there, and containerd needs none that it has
        shutil.copytree(blobs, place / "blobs", copy_function=os.link)
        known = set(place.rglob("*"))
        self._buildah("push", "--quiet", name, f"oci:{place}:{tag}")
        new = [str(path.relative_to(place)) for path in place.rglob("*") if path.is_file() and path not in known]
        archive = place / "new.tar"
        _output("tar", "--create", "--file", str(archive), "--directory", str(place), *new)
        # under a second name what is there outlives the moment between the import and the unpacking: without one,
        # containerd may take its layers for garbage, remove them all, and unpack them anew
        _output(*ctr, "tag", "--force", name, f"{name}-before")
        _output(*ctr, "import", "--base-name", repository, str(archive))
        _output(*ctr, "remove", "--sync", f"{name}-before")

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


def build(cache: Path) -> tuple[Path, Path]:
    """Builds programs and images, what is not there yet, and unpacks the images.

    Returns the folder of the programs and that of a containerd with the images, of which a node gets a copy.
    """
    images, root = Images(cache), cache / "containerd"
    with _containerd(root) as socket, ThreadPoolExecutor() as pool:
        # one of them compiles while the other waits for packages and for the disk
        built = pool.submit(images.build_and_load, root, socket)
        programs = binaries.build(cache)
        built.result()
        images.build_programs(programs)
        images.load(PROGRAMS, root, socket)
    return programs, root


@contextlib.contextmanager
def _containerd(root: Path) -> Iterator[Path]:
    """The socket of a containerd that keeps its data in `root` and runs no container."""
    # its path may have 108 bytes
    with tempfile.TemporaryDirectory(prefix="heldout-") as state:
        socket, settings = Path(state) / "containerd.sock", Path(state) / "containerd.toml"
        settings.write_text('disabled_plugins = ["io.containerd.grpc.v1.cri"]\n' + config.containerd(root, Path(state)))
        with subprocess.Popen(["containerd", "--config", str(settings), "--log-level", "error"]) as process:
            try:
                end = time.monotonic() + START_SECONDS
                while subprocess.run(["ctr", "-a", str(socket), "version"], capture_output=True).returncode != 0:
                    if process.poll() is not None or time.monotonic() > end:
                        raise RuntimeError(f"containerd does not start with {root}")
                    time.sleep(0.2)
                yield socket
            finally:
                process.terminate()


def _mirror() -> str:
    """Where this machine has its own packages from."""
    lines = _output("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)").splitlines()
    return next(uri for codename, uri in map(str.split, lines) if codename == "bookworm")


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
