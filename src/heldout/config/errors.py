"""Turns what Hydra and OmegaConf say into one message: the key, what was given, what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from hydra.errors import (
    ConfigCompositionException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)
from yaml import MarkedYAMLError

from heldout.config.store import PREFIX
from heldout.errors import UserError


class ConfigError(UserError):
    """A config that cannot be used: unknown key, wrong type, impossible pair, missing value."""


def closest(given: str, known: Iterable[str]) -> str:
    """`Did you mean 'width'?` with a leading blank, or nothing when no name is near."""
    near = difflib.get_close_matches(given, list(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def unknown_key(parent: str, key: str, known: Iterable[str], where: str = "") -> str:
    """The message for a key that the schema does not have."""
    names = list(known)
    full = f"{parent}.{key}" if parent else key
    owner = f"'{parent}'" if parent else "the top level"
    return f"{where}there is no key '{full}'.{closest(key, names)} Keys of {owner}: {listed(names)}."


def explain(error: Exception) -> ConfigError:
    """One readable `ConfigError` for anything that composing a config can raise."""
    return ConfigError(_message(error))


def _message(error: Exception) -> str:
    if isinstance(error, MissingConfigException):
        return _missing_config(error)
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read the override '{error.override}': expected key=value, for example "
            "trainer.max_epochs=20; quote values with blanks or brackets for the shell."
        )
    if isinstance(error, ConfigCompositionException):
        return _composition(error)
    if isinstance(error, MarkedYAMLError):
        return f"a config file is not valid YAML: {' '.join(str(error).split())}"
    if isinstance(error, OmegaConfBaseException):
        return _omegaconf(error, given="")
    return " ".join(str(error).split())


def _missing_config(error: MissingConfigException) -> str:
    name = error.missing_cfg_file or ""
    group, _, option = name.rpartition("/")
    options = [o for o in error.options or [] if not o.startswith(PREFIX)]
    if not group:
        return f"there is no config named '{name}'."
    return (
        f"{group}={option}: there is no '{option}' in the group '{group}'.{closest(option, options)} "
        f"Expected one of: {listed(options)}."
    )


def _composition(error: ConfigCompositionException) -> str:
    text = str(error)
    cause = error.__cause__
    override = re.search(r"(?:Error merging override|Could not override) '?([^\n]*?)'?\.?(?:\n|$)", text)
    given = override.group(1) if override else ""
    appended = re.search(r"use \+(\S+)", text)
    if appended:
        given = appended.group(1)
    if isinstance(cause, OmegaConfBaseException):
        where = re.match(r"In '([^']+)'", text)
        return _omegaconf(cause, given, f"conf/{where.group(1)}.yaml: " if where else "")
    several = re.search(r"Ambiguous value for argument '([^']+)'", text)
    if several:
        return (
            f"{several.group(1)}: several values where one is expected; add -m to run each of them, or write "
            "key=[value1,value2] for a list."
        )
    missing_group = re.search(r"Could not override '([^']+)'\. No match in the defaults list", text)
    if missing_group:
        return f"there is no config group '{missing_group.group(1)}' here; expected key=value or group=option."
    return " ".join(text.split())


def _omegaconf(error: OmegaConfBaseException, given: str, where: str = "") -> str:
    full_key = str(error.full_key or "")
    prefix = f"{where}{given}: " if given else where
    first = str(error.msg or error).split("\n")[0]
    if isinstance(error, (ConfigAttributeError, ConfigKeyError)):
        parent, _, key = full_key.rpartition(".")
        if error.object_type is not None and hasattr(error.object_type, "__dataclass_fields__"):
            return unknown_key(parent, key, error.object_type.__dataclass_fields__, prefix)
        if error.object_type is dict and parent:
            return f"{prefix}'{parent}' has no '{key}' yet; expected a + where one is added: +{full_key}=..."
        return f"{prefix}there is no key '{full_key}'."
    if isinstance(error, MissingMandatoryValue):
        return f"{prefix}'{full_key}' has no value; give one, for example on the command line: {full_key}=..."
    if isinstance(error, InterpolationResolutionError):
        return f"{prefix}'{full_key}' refers to something that is not there: {first}."
    if isinstance(error, ValidationError):
        return f"{prefix}'{full_key}': {_expected(first)}"
    return f"{prefix}{first}"


def _expected(message: str) -> str:
    converted = re.match(r"Value '(.*)' of type '(\w+)' could not be converted to (\w+)", message)
    if converted:
        value, kind, wanted = converted.groups()
        names = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
        return f"{value} is of type {kind}; expected {names.get(wanted, wanted)}."
    boolean = re.match(r"Value '(.*)' is not a valid bool", message)
    if boolean:
        return f"{boolean.group(1)} is not a truth value; expected true or false."
    return f"{message}."
