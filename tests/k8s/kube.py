"""kubectl in the namespace of Heldout, and what tests ask it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

NAMESPACE = "heldout"
JOB_LABEL = "batch.kubernetes.io/job-name"
FORWARD_SECONDS = 60.0


class KubectlFailed(Exception):
    """kubectl ended with another exit code than 0; the message is what it said."""


class Kube:
    """Calls kubectl with `options`, by which it finds the cluster."""

    def __init__(self, options: Sequence[str]) -> None:
        self._options = list(options)

    @property
    def environment(self) -> dict[str, str]:
        """For scripts that call `kubectl` themselves: a kubectl that has the options is first on the path."""
        folder = Path(tempfile.gettempdir()) / f"heldout-kubectl-{os.getpid()}"
        folder.mkdir(exist_ok=True)
        real = subprocess.run(["which", "kubectl"], capture_output=True, text=True, check=True).stdout.strip()
        (folder / "kubectl").write_text(f'#!/bin/sh\nexec {real} {" ".join(self._options)} "$@"\n')
        (folder / "kubectl").chmod(0o755)
        return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}

    def __call__(self, *arguments: str, stdin: str | None = None, seconds: float = 300) -> str:
        command = ["kubectl", *self._options, "--namespace", NAMESPACE, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds, check=False)
        if done.returncode != 0:
            raise KubectlFailed(f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return done.stdout

    def get(self, *what: str) -> Any:
        return json.loads(self("get", *what, "-o", "json"))

    def secret(self, name: str, key: str) -> str:
        return base64.b64decode(self.get("secret", name)["data"][key]).decode()

    def pods_of(self, job: str) -> list[Any]:
        """Pods of a Job, oldest first."""
        pods = self.get("pods", "-l", f"{JOB_LABEL}={job}")["items"]
        return sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def wait_for_job(self, job: str, seconds: float = 240) -> str:
        """Complete or Failed, the condition in which a Job ends."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for condition in self.get("job", job).get("status", {}).get("conditions", []):
                if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
                    return str(condition["type"])
            time.sleep(0.5)
        raise AssertionError(f"job {job} did not end in {seconds} s\n{self.said(job)}\n{self('describe', 'job', job)}")

    def said(self, job: str) -> str:
        """The logs of all pods of a Job."""
        return "\n".join(self.log(pod["metadata"]["name"]) for pod in self.pods_of(job))

    def log(self, pod: str) -> str:
        with contextlib.suppress(KubectlFailed):
            return self("logs", pod)
        return ""

    def ending(self, pod: Any) -> Any:
        """How the container of a pod ended: exit code, reason, message."""
        (state,) = (one["state"] for one in pod["status"]["containerStatuses"])
        return state["terminated"]

    def last_word(self, pod: Any) -> str:
        """What Kubernetes shows of the end of a pod."""
        return str(self.ending(pod).get("message", ""))

    def scheduling(self, job: str) -> str:
        """Why the scheduler found no place for the pods of a Job."""
        events = self.get("events", "--field-selector", "reason=FailedScheduling")["items"]
        return "\n".join(one["message"] for one in events if one["involvedObject"]["name"].startswith(job))

    @contextlib.contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[str]:
        """The address of a port that kubectl forwards to a service or a pod, also to the next pod of a service."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            local = free.getsockname()[1]
        command = ["kubectl", *self._options, "--namespace", NAMESPACE, "port-forward", target, f"{local}:{port}"]
        done = threading.Event()
        # in the network of the calling thread
        thread = threading.Thread(target=_run_again_and_again, args=(command, done))
        thread.start()
        try:
            eventually(lambda: _answers(local), FORWARD_SECONDS, 0.1)
            yield f"http://127.0.0.1:{local}"
        finally:
            done.set()
            thread.join()


def eventually(check: Callable[[], object], seconds: float = 60.0, pause: float = 0.5) -> object:
    """The first true value of `check`; fails when there is none in time."""
    end = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(pause)
    return value


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _run_again_and_again(command: Sequence[str], done: threading.Event) -> None:
    # kubectl ends with the pod that it has found, and where a connection breaks
    while not done.is_set():
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and not done.wait(0.1):
                pass
            process.terminate()
        done.wait(1)
