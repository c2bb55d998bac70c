"""Where checkpoints lie: a folder or an address that all nodes of the cluster see."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from hydra_plugins.ray_tune_sweeper._errors import StorageError

PROBE_SECONDS = 60.0
ACCESS = (
    "; for s3:// also AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where it is not Amazon's, AWS_ENDPOINT_URL in the "
    "environment."
)


def is_address(storage: str) -> bool:
    """Whether `storage` is an address such as s3://bucket/folder rather than a path."""
    return "://" in storage


def open_storage(storage: str) -> tuple[Any, str]:
    """The file system (pyarrow's) of `storage` and the path in it.

    Raises:
        StorageError: the address has a form that is not known.
    """
    import pyarrow as pa
    from pyarrow.fs import FileSystem, LocalFileSystem

    if not is_address(storage):
        return LocalFileSystem(), str(Path(storage).resolve())
    try:
        filesystem, path = FileSystem.from_uri(storage)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StorageError(
            f"hydra.sweeper.storage={storage} cannot be opened ({error}). Expected a path that all nodes share, or an "
            f"address such as s3://bucket/folder{ACCESS}"
        ) from error
    return filesystem, path


def copy_folder(source: Path, storage: str) -> None:
    """Copies a folder into the storage."""
    from pyarrow.fs import LocalFileSystem, copy_files

    filesystem, path = open_storage(storage)
    filesystem.create_dir(path, recursive=True)
    copy_files(str(source), path, source_filesystem=LocalFileSystem(), destination_filesystem=filesystem)


def fetch_folder(storage: str, target: Path) -> None:
    """Copies what the storage holds into a folder; files that are there are replaced."""
    from pyarrow.fs import FileType, LocalFileSystem, copy_files

    filesystem, path = open_storage(storage)
    if filesystem.get_file_info(path).type is not FileType.Directory:
        return
    target.mkdir(parents=True, exist_ok=True)
    copy_files(path, str(target), source_filesystem=filesystem, destination_filesystem=LocalFileSystem())


def remove_folder(storage: str) -> None:
    """Removes a folder of the storage with all that it holds, if it is there."""
    from pyarrow.fs import FileType

    filesystem, path = open_storage(storage)
    if filesystem.get_file_info(path).type is FileType.Directory:
        filesystem.delete_dir(path)


def check_storage(storage: str) -> None:
    """Writes to the storage, and has every node of the cluster read that.

    Raises:
        StorageError: it cannot be written, or a node does not see it; named are the nodes.
    """
    import pyarrow as pa

    token = uuid.uuid4().hex
    probe = f".probe-{token}"
    try:
        filesystem, path = open_storage(storage)
        filesystem.create_dir(path, recursive=True)
        with filesystem.open_output_stream(f"{path}/{probe}") as file:
            file.write(token.encode())
    except (pa.ArrowException, OSError) as error:
        raise StorageError(
            f"hydra.sweeper.storage={storage} cannot be written ({_first_line(error)}). Expected a path or an address "
            f"that exists and may be written{ACCESS}"
        ) from error
    try:
        blind = _blind_nodes(storage, probe, token)
    finally:
        filesystem.delete_file(f"{path}/{probe}")
    if blind:
        raise StorageError(
            f"{storage} is not shared: {', '.join(blind)} of the Ray cluster cannot read what was written to it here. "
            "Expected hydra.sweeper.storage to be a path mounted on all nodes, or an address such as s3://bucket/folder."
        )


def _blind_nodes(storage: str, probe: str, token: str) -> list[str]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) < 2:
        return []
    here = ray.get_runtime_context().get_node_id()
    others = {node["NodeID"]: node["NodeManagerAddress"] for node in nodes if node["NodeID"] != here}
    read = ray.remote(num_cpus=0)(_read)
    asked = {
        name: read.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(storage, probe)
        for node, name in others.items()
    }
    return [name for name, future in asked.items() if _is_blind(ray, future, token)]


def _is_blind(ray: Any, future: Any, token: str) -> bool:
    try:
        return bool(ray.get(future, timeout=PROBE_SECONDS) != token)
    except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError):
        # lost while it was asked, and with it nothing that a trial needs
        return False
    except ray.exceptions.RayError:
        return True


def _read(storage: str, probe: str) -> str | None:
    filesystem, path = open_storage(storage)
    try:
        with filesystem.open_input_stream(f"{path}/{probe}") as file:
            return str(file.read().decode())
    except OSError:
        return None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
