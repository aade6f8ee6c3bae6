#!/usr/bin/env bash
# Fetches what the GPU check needs beside torch, transformers, accelerate and what they bring: for Python 3.12, 5 MB.
# The versions are those of constraints.txt; trackers are not needed, since `report_to` is none.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
names=(trl datasets "dill<0.4.2" "multiprocess<0.70.20" pydantic pydantic_core annotated-types orjson math-verify latex2sympy2_extended
  antlr4-python3-runtime)
rm -rf build/gpu-wheels
"$python" -m pip download --quiet --no-deps --only-binary :all: --python-version 3.12 --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  --constraint constraints.txt --dest build/gpu-wheels "${names[@]}"
du -sh build/gpu-wheels
