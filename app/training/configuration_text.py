"""A configuration as a TOML file for people: every key with its meaning.

Configuration -> write_configuration -> a text that reads back as the same
"""

from app.bundles.tables import Table
from app.bundles.toml_text import toml_key, toml_value
from app.training.configuration import SECTIONS, Configuration


def write_configuration(configuration: Configuration) -> str:
    """Every key with its meaning, for people to edit."""
    lines = ["# What `lineside finetune --config` reads; docs/finetuning.md explains it."]
    lines += _lines(configuration, skip={*SECTIONS, "head", "preprocess", "display"})
    for name in ("data", "head", "preprocess", *list(SECTIONS)[1:]):
        section = getattr(configuration, name)
        about = f"  # {type(section).__doc__}" if name in SECTIONS else "  # as in a bundle's model.toml"
        lines += ["", f"[{name}]{about}", *_lines(section)]
    for language, labels in configuration.display.items():
        lines += [
            "",
            f"[display.{language}]",
            *(f"{toml_key(key)} = {toml_value(labels[key])}" for key in labels),
        ]
    return "\n".join(lines) + "\n"


def _lines(table: Table, skip: set[str] | None = None) -> list[str]:
    lines = []
    for name, field in type(table).model_fields.items():
        value = getattr(table, name)
        if name in (skip or ()) or value is None:
            continue
        if name == "scale" and value == 1 / 255:
            value = "1/255"  # which people can check
        value = value.model_dump() if isinstance(value, Table) else value
        if isinstance(value, tuple):
            value = [each.model_dump() if isinstance(each, Table) else each for each in value]
        lines.append(
            f"{name} = {toml_value(value)}" + (f"  # {field.description}" if field.description else "")
        )
    return lines
