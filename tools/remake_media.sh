#!/usr/bin/env bash
# Remakes every picture of README.md and docs/: tools/remake_media.sh [RUNS]
#
# RUNS keeps a run of recipes/quickstart.yaml, which is made there if it is missing (seven minutes on two idle cores).
# The recording of the terminal takes another two minutes. Needs Chromium, and pip install -e '.[docs]'.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=$(realpath -m "${1:-runs}")
python -m mep --runs "$runs" run recipes/quickstart.yaml
python tools/draw_quickstart.py "$runs" # of the last run, which is this one
python tools/draw_pipeline.py
python tools/screenshots.py "$runs"
python tools/record_terminal.py
