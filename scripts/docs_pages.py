"""Pages of the docs site that are made from other sources when it is built: a hook of mkdocs.

README.md gives the first screen, CHANGELOG.md, CONTRIBUTING.md and SECURITY.md a page each, the code the reference of
commands, of recipe fields and of methods. Files that a page links to outside docs/ are copied into the site.
"""

import inspect
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
COPIED = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
FIRST_SCREEN = "<!-- README.md up to its second heading -->"
FILES = r"\]\((?:\.\./)*((?:recipes|schemas|tests|mep|tools)/[^)#]+)"
"""Links to files of the repository that are no pages."""

Schema = dict[str, Any]


def on_files(files: Any, config: Any) -> Any:
    """Add the pages, and the files that they link to."""
    from mkdocs.structure.files import File, InclusionLevel

    pages = {name.lower(): (REPOSITORY / name).read_text() for name in COPIED}
    pages |= {
        "reference/commands.md": commands_page(),
        "reference/recipe.md": recipe_page(),
        "reference/methods.md": methods_page(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    texts = [path.read_text() for path in sorted(REPOSITORY.glob("docs/**/*.md"))] + list(pages.values())
    for target in sorted(set(re.findall(FILES, "\n".join(texts)))):
        path = str(REPOSITORY / target)
        files.append(File.generated(config, f"files/{target}", abs_src_path=path, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the README's first screen where it is asked for, and lead links to where the site has their targets."""
    source = page.file.src_uri
    markdown = markdown.replace(FIRST_SCREEN, first_screen())
    if source == "index.md" or source.upper().replace(".MD", ".md") in COPIED:
        markdown = re.sub(r"\]\(docs/", "](", markdown)
    up = "../" * source.count("/")
    for name in COPIED:
        markdown = re.sub(rf"\]\((?:\.\./)*{name}", f"]({up}{name.lower()}", markdown)
    return re.sub(FILES, rf"]({up}files/\1", markdown)


def first_screen() -> str:
    """The README's text above its first section, without its title."""
    above = (REPOSITORY / "README.md").read_text().split("\n## ")[0]
    return above.partition("\n")[2]


def commands_page() -> str:
    """Every command with its help, as `mep COMMAND --help` prints it."""
    from mep.cli.main import main

    lines = ["# Commands", "", "What `mep COMMAND --help` prints.", ""]
    with main.make_context("mep", [], resilient_parsing=True) as context:
        for path, text in _helps(main, context):
            lines += [f"## {path}", "", "```text", text, "```", ""]
    return "\n".join(lines)


def _helps(group: Any, context: Any) -> Iterator[tuple[str, str]]:
    """Every command below a group, by its whole name, with its help."""
    import click

    for name in group.list_commands(context):
        command = group.get_command(context, name)
        with click.Context(command, info_name=name, parent=context, max_content_width=100) as inner:
            if isinstance(command, click.Group):
                yield from _helps(command, inner)
            else:
                yield inner.command_path, command.get_help(inner)


def recipe_page() -> str:
    """Every field of a recipe: what it may be, its default, and its description."""
    from mep.recipe.recipe_file import RecipeFile

    schema = RecipeFile.model_json_schema()
    definitions = schema["$defs"]
    lines = [
        "# Fields of a recipe",
        "",
        "A field without a default has to be given, in the recipe or by its modality.",
        "",
    ]
    plain = {}
    for name, field in schema["properties"].items():
        section = _section(field, definitions)
        if section is None:
            plain[name] = field
            continue
        lines += [f"## {name}", "", section.get("description", ""), "", *_table(_fields(section, definitions)), ""]
    top = _table(_fields({"properties": plain, "required": schema.get("required", [])}, definitions))
    return "\n".join([*lines[:4], "## At the top", "", *top, "", *lines[4:]])


def methods_page() -> str:
    """Every method by its family: what it does, and its fields."""
    from mep.methods import families
    from mep.registry import members

    lines = ["# Methods", "", "What `kind:` in a recipe selects. A folder holds a family, a file one method.", ""]
    for folder, family in families().items():
        lines += [f"## {folder}", "", _markdown(inspect.getdoc(family) or ""), ""]
        for kind, member in members(family).items():
            schema = member.model_json_schema()
            own = {name: field for name, field in schema["properties"].items() if name != "kind"}
            section = {"properties": own, "required": schema.get("required", [])}
            lines += [f"### `{kind}` {{ #{folder}-{kind} }}", "", _markdown(inspect.getdoc(member) or ""), ""]
            lines += [*_table(_fields(section, schema.get("$defs", {}))), ""]
    return "\n".join(lines)


def aligned_as_code(docstring: str) -> str:
    """The docstring with its aligned lines ("name   shape   meaning") as blocks that keep their spaces."""
    parts: list[str] = []
    for aligned, paragraphs in groupby(inspect.cleandoc(docstring).split("\n\n"), _is_aligned):
        text = "\n\n".join(paragraphs)
        parts.append(f"```text\n{text}\n```" if aligned else text)
    return "\n\n".join(parts)


def _is_aligned(paragraph: str) -> bool:
    return bool(re.search(r"\S {3,}\S|^ {4}", paragraph, re.M)) and "```" not in paragraph


def _markdown(docstring: str) -> str:
    return aligned_as_code(docstring).replace("{", "&#123;") if docstring else ""


def _section(field: Schema, definitions: Schema) -> Schema | None:
    """The definition of a field that holds fields itself; None for other values and for methods."""
    target = field.get("$ref") or next((part["$ref"] for part in field.get("allOf", [])), None)
    definition = definitions[target.rpartition("/")[2]] if target else {}
    return definition if "properties" in definition else None


def _fields(section: Schema, definitions: Schema, above: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Name, values, default and description of every field, those of nested sections by their dotted names."""
    for name, field in section["properties"].items():
        inner = _section(field, definitions)
        if inner is not None:
            yield from _fields(inner, definitions, f"{above}{name}.")
            continue
        default = "" if name in section.get("required", []) else _shown(field.get("default"))
        yield f"{above}{name}", _values(field, definitions), default, field.get("description", "")


def _values(field: Schema, definitions: Schema) -> str:
    """What a field may be, in words."""
    if "discriminator" in field:
        return _link(list(field["discriminator"]["mapping"]))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    for union in ("anyOf", "oneOf"):
        if union in field:
            return " or ".join(dict.fromkeys(_values(part, definitions) for part in field[union]))
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        inner = definitions[name]
        return "section: " + ", ".join(f"`{key}`" for key in inner["properties"]) if "properties" in inner else name
    kind = field.get("type", "any value")
    if kind == "array":
        return f"list of {_values(field.get('items', {}), definitions)}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = " and ".join(f"{sign} {_number(field[bound])}" for bound, sign in signs.items() if bound in field)
    names = {"object": "mapping", "string": "text", "boolean": "true or false"}
    return f"{'path' if field.get('format') == 'path' else names.get(kind, kind)} {bounds}".strip()


def _link(kinds: list[str]) -> str:
    """A link to the family that has these kinds."""
    from mep.methods import families
    from mep.registry import members

    fitting = {
        folder: len(members(family)) for folder, family in families().items() if set(kinds) <= {*members(family)}
    }
    folder = min(fitting, key=lambda name: fitting[name])
    return f"one of [{folder}](methods.md#{folder})"


def _shown(default: Any) -> str:
    import json

    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _number(value: float) -> str:
    return "2⁶³" if value == 2**63 else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _table(fields: Iterator[tuple[str, str, str, str]]) -> list[str]:
    rows = [f"| `{name}` | {values} | {default} | {text} |" for name, values, default, text in fields]
    rows = [row.replace("{", "&#123;") for row in rows]
    return ["| field | values | default | meaning |", "| --- | --- | --- | --- |", *rows] if rows else ["No fields."]
