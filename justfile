# Tasks of the project. `just` alone lists them. They use the virtual environment .venv.
set shell := ["bash", "-euo", "pipefail", "-c"]

python := ".venv/bin/python"

# list the tasks
default:
    @{{ justfile_directory() }}/.venv/bin/just --list

# make the virtual environment with everything that developing needs
setup:
    python3 -m venv .venv
    .venv/bin/pip install -c constraints.txt -e '.[all,dev]'

# format the code
fmt:
    {{ python }} -m ruff format .
    {{ python }} -m ruff check --fix .

# look for mistakes that need no running
lint:
    {{ python }} -m ruff format --check .
    {{ python }} -m ruff check .

# check the types
types:
    {{ python }} -m mypy

# check that imports only point down, and that stages do not know each other
arch:
    .venv/bin/lint-imports

# run all tests, two files at a time; with -n0 one after the other
test *arguments:
    {{ python }} -m pytest -n 2 --dist loadfile {{ arguments }}

# run the tests that need no model, no speech and no server: seconds
test-unit *arguments:
    {{ python }} -m pytest -m 'not engine and not episode' {{ arguments }}

# run the tests of the real engines
test-engines *arguments:
    {{ python }} -m pytest -m engine {{ arguments }}

# type every command line of the README and of docs/; a show from transcripts to episode: an hour
test-long *arguments:
    PODCASTER_LONG_TESTS=1 {{ python }} -m pytest tests/docs tests/episode/test_show_to_episode.py {{ arguments }}

# everything but the tests
check: lint types arch docs-check

# write docs/cli.md anew from --help
docs:
    {{ python }} docs/make_cli.py > docs/cli.md

# check that docs/cli.md is what --help says
docs-check:
    {{ python }} docs/make_cli.py | diff docs/cli.md - >/dev/null || { echo "docs/cli.md is out of date: run just docs"; exit 1; }

# write the golden files anew; read the difference before committing it
golden-update:
    UPDATE_GOLDEN=1 {{ python }} -m pytest -q tests/publish

# make an episode
demo guest='Barack Obama':
    .venv/bin/podcaster episode --guest '{{ guest }}'

# run the benchmarks, one JSON line each; one that lacks its data or an extra says so
bench:
    for file in bench/*.py; do {{ python }} "$file" || echo "$file was not run to its end" >&2; done

# pin the newest versions that fit together
pin:
    .venv/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-header --no-annotate --no-emit-package pip --quiet --upgrade --output-file constraints.txt
