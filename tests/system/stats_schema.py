# SPDX-License-Identifier: Apache-2.0
"""data/nexusd-stats.schema.json, which every /v1/stats document of the system tests must obey."""
import functools
import json
import pathlib

from tap import Skip, ok

try:
    import jsonschema
except ImportError:
    jsonschema = None

PATH = pathlib.Path(__file__).resolve().parents[2] / "data/nexusd-stats.schema.json"


def schema():
    return json.loads(PATH.read_text(encoding="utf-8"))


@functools.cache
def validator():
    # Of the draft that the schema names, or of the newest that is known here.
    kind = jsonschema.validators.validator_for(schema())
    kind.check_schema(schema())
    return kind(schema())


def problems(document):
    """What is wrong with a document; none are found where python3-jsonschema is missing."""
    if not jsonschema:
        return []
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
            for error in validator().iter_errors(document)]


def check_answer(answer):
    """Speaks up only when the document breaks the schema."""
    found = problems(answer.json())
    if found:
        ok(False, "/v1/stats obeys its schema", *found[:5])


def need():
    if not jsonschema:
        raise Skip("python3-jsonschema is not installed")
