"""Files of tables. Only formats that cannot run code: csv and parquet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from heldout.config.data import FileData
from heldout.data.columns import MISSING_WORDS, is_text, without
from heldout.data.errors import FileUnreadable, shown

CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET = (".parquet", ".pq")


def read_table(path: Path, config: FileData, key: str = "data.path") -> pa.Table:
    """All columns of a file by its suffix; `key` names it in messages.

    Raises:
        FileUnreadable: absent, empty, malformed, in another encoding, or in a format that is not read.
    """
    if not path.is_file():
        raise FileUnreadable(
            f"{key}={path}: there is no such file (looked in {Path.cwd()}); expected a csv or parquet file."
        )
    if path.stat().st_size == 0:
        raise FileUnreadable(f"{key}={path}: the file is empty; expected a header and rows.")
    name = path.name.lower()
    if name.endswith(CSV):
        table = _read_csv(path, config, key)
    elif name.endswith(PARQUET):
        table = _read_parquet(path, key)
    else:
        raise FileUnreadable(
            f"{key}={path}: expected a file that ends in one of {', '.join(CSV + PARQUET)}, got '{path.suffix}'."
        )
    if table.num_rows == 0:
        raise FileUnreadable(f"{key}={path}: the file has a header and no rows; expected rows.")
    if repeated := sorted({one for one in table.column_names if table.column_names.count(one) > 1}):
        raise FileUnreadable(f"{key}={path}: the columns {shown(repeated)} occur twice; expected different names.")
    return table


def _read_csv(path: Path, config: FileData, key: str) -> pa.Table:
    from pyarrow import csv

    def read(texts: list[str], columns: list[str] | None = None) -> pa.Table:
        return csv.read_csv(
            path,
            csv.ReadOptions(encoding=config.encoding),
            csv.ParseOptions(delimiter=config.separator, newlines_in_values=True),
            csv.ConvertOptions(
                column_types={name: pa.string() for name in texts},
                null_values=["", *MISSING_WORDS],
                include_columns=columns,
            ),
        )

    try:
        # ids and labels stay as they are written: 007 is not 7
        table = read([name for name in (getattr(config, "target", None), config.id) if name])
        # names are decoded when they are asked for; where a value is not UTF-8, Arrow falls back to bytes
        names = table.column_names
    except LookupError:
        raise FileUnreadable(
            f"{_beside(key)}encoding={config.encoding}: there is no such encoding; expected for example utf-8 or "
            "latin-1."
        ) from None
    except UnicodeError as error:
        raise _wrong_encoding(path, config, key, str(error)) from None
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            raise _wrong_encoding(path, config, key, str(error)) from None
        raise FileUnreadable(
            f"{key}={path} is not a well-formed csv file with separator '{config.separator}': {error}"
        ) from None
    if undecoded := [name for name, kind in zip(names, table.schema.types, strict=True) if pa.types.is_binary(kind)]:
        raise _wrong_encoding(path, config, key, f"in column {shown(undecoded)}")
    if unknown := [name for name, kind in zip(names, table.schema.types, strict=True) if pa.types.is_null(kind)]:
        # of words for missing numbers alone, they may be texts: a country NA in a file of one row
        texts = read(unknown, unknown)
        for name in unknown:
            table = table.set_column(names.index(name), name, texts[name])
    return _without_empty_texts(table)


def _without_empty_texts(table: pa.Table) -> pa.Table:
    """Null where a text is empty: Arrow would take words such as NA for missing texts too."""
    columns = [without(column, [""]) if is_text(column.type) else column for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _beside(key: str) -> str:
    return key.removesuffix("path")


def _wrong_encoding(path: Path, config: FileData, key: str, detail: str) -> FileUnreadable:
    return FileUnreadable(
        f"{key}={path} cannot be decoded as {_beside(key)}encoding={config.encoding} ({detail}); expected the "
        "encoding the file was written in, for example latin-1."
    )


def _read_parquet(path: Path, key: str) -> pa.Table:
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise FileUnreadable(f"{key}={path} is not a readable parquet file: {error}") from None
    # an index that pandas stored is no column of the user's
    return table.drop_columns([name for name in table.column_names if name.startswith("__index_level_")])
