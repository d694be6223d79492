"""Text that leaves this machine: no absolute path, no secret."""

import json
import os
import re

REMOVED = "REMOVED"

FOLDERS = re.compile(r"(?<![\w/.:<+\-])(?:~?/|(?:\.\./)+)(?:[^\s/:'\"<>|,;(){}\[\]\\]+/)*(?=[\w.\[])")
"""The folders in front of a name: of an absolute path, or of one that climbs out of its own folder."""

SECRETS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|glpat-[\w-]{16,}|sk-[\w-]{20,}|AKIA[0-9A-Z]{16}"
    r"|xox[abprs]-[\w-]{10,})"
    r"|(?<=://)[^/\s:@]+:[^/\s:@]+(?=@)"
)
"""Tokens of the Hugging Face hub, GitHub, GitLab, OpenAI, AWS and Slack; passwords in addresses."""

NAMED = re.compile(
    r"(?i)((?:password|passwd|secret|api[_-]?key|access[_-]?token|token)[\"']?\s*[:=]\s*[\"']?)([^\s\"',]{6,})"
)
"""A value that its name calls secret."""

SECRET_NAME = re.compile(r"(?i)token|secret|password|api_?key")


def scrub(text: str) -> str:
    """The text without secrets and with paths cut down to their last part."""
    return FOLDERS.sub("", NAMED.sub(rf"\1{REMOVED}", _without_secrets(text)))


def scrub_json(value: object) -> object:
    """The same for every text in a JSON value, and for JSON inside a text."""
    if isinstance(value, dict):
        return {scrub(key): scrub_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [scrub_json(item) for item in value]
    if isinstance(value, str):
        try:
            inner = json.loads(value)
        except ValueError:
            return scrub(value)
        return json.dumps(scrub_json(inner), ensure_ascii=False) if isinstance(inner, dict | list | str) else value
    return value


def scrub_html(text: str, folders: set[str]) -> str:
    """A page without secrets and without the given folders; pictures inside it stay as they are."""
    pieces = re.split(r"(data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+)", text)
    for place in range(0, len(pieces), 2):
        pieces[place] = _without_secrets(pieces[place])
        for folder in sorted(folders, key=len, reverse=True):
            pieces[place] = pieces[place].replace(folder, "")
    return "".join(pieces)


def folders_in(text: str) -> set[str]:
    """The absolute folders that a text names."""
    return {folder for folder in FOLDERS.findall(text) if folder.startswith(("/", "~/")) and len(folder) > 1}


def _without_secrets(text: str) -> str:
    """Without what looks like a token, and what this process's environment calls secret."""
    for name, value in os.environ.items():
        if SECRET_NAME.search(name) and len(value) >= 8:
            text = text.replace(value, REMOVED)
    return SECRETS.sub(REMOVED, text)
