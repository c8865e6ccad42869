#!/usr/bin/env bash
# Fine-tune and test what pretrain.sh made, then write the report. What is finished is skipped, what was interrupted
# goes on.
#
#   bash finetune.sh                                             the demo, minutes on a CPU
#   bash finetune.sh configs/my.yaml                             another experiment
#   bash finetune.sh configs/demo.yaml --section.field=value     one setting changed
#
# Relative paths start from this folder. PYTHON names another interpreter than that of .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

python=${PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || echo python3)}
installed='import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in sys.argv[1:]))'
"$python" -c "$installed" torch transformers datasets jsonargparse 2>/dev/null ||
  { echo "finetune.sh: $python lacks the packages SimCSP needs; install them with: bash run.sh setup" >&2; exit 1; }

config=configs/demo.yaml
if [[ $# -gt 0 && $1 != -* ]]; then config=$1; shift; fi

trap 'exit 130' INT # also when the stage answers Ctrl-C by ending in good order
"$python" src/finetune.py --config "$config" "$@"
"$python" src/evaluate.py --config "$config" "$@"
exec "$python" src/report.py --config "$config" "$@"
