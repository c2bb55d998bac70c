"""Whether files of the user's are still those that were prepared."""

from __future__ import annotations

from pathlib import Path

from heldout.config.data import CorpusData, FileData, FilesData, TextFilesData
from heldout.data.hashing import hash_file, hash_json
from heldout.data.sources._listing import list_files


def user_files_hash(config: FileData) -> str:
    """Hash of what lies at the paths that the config names: names and contents.

    Raises:
        DataError: they cannot be read.
    """
    if isinstance(config, FilesData | CorpusData):
        path = Path(config.path)
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        if not path.is_dir() and not isinstance(config, TextFilesData | CorpusData):
            files += [file for file in list_files(config, ()).files if file.is_file()]
        return hash_json([[file.as_posix(), hash_file(file)] for file in files])
    paths = [config.path, *(getattr(config, name, None) for name in ("test_path", "translation_path"))]
    return hash_json([hash_file(Path(path)) for path in paths if path])
