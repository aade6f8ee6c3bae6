#!/usr/bin/env bash
# The GPU check, with abstain installed or without: `bash tests/gpu/run.sh --budget 360`, `--small` on a CPU.
# $OUT: folder for gpu-check.json (build/gpu by default). $PYTHON: python3 by default.
# Wheels in build/gpu-wheels (tests/gpu/wheels.sh fetches them) are unpacked where trl is missing.
set -euo pipefail
began=$(date +%s)
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
out=${OUT:-build/gpu}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir -p "$place/path/abstain"
for folder in rewards evals trainers recipes; do ln -s "$PWD/$folder" "$place/path/abstain/$folder"; done
ln -s "$PWD/tests/gpu" "$place/path/gpu_check"
export PYTHONPATH="$place/path${PYTHONPATH:+:$PYTHONPATH}"
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore PYTHONUNBUFFERED=1
if ! "$python" -c 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ("trl", "datasets", "pydantic"))))'; then
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir \
    --target "$place/site" build/gpu-wheels/*.whl
  export PYTHONPATH="$PYTHONPATH:$place/site"
fi
"$python" -m gpu_check.check --began "$began" --out "$out" "$@"
