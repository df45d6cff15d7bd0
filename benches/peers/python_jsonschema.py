"""Checks a YAML file against a JSON Schema, as a script of a few lines does."""

import json
import sys

import jsonschema
import yaml

schema_path, path = sys.argv[1:]
with open(schema_path) as file:
    schema = json.load(file)
with open(path) as file:
    document = yaml.load(file, Loader=yaml.CSafeLoader)
validator = jsonschema.validators.validator_for(schema)(schema)
errors = list(validator.iter_errors(document))
for error in errors:
    print(error.json_path, error.message)
sys.exit(bool(errors))
