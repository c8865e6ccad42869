#!/usr/bin/env bash
# Fine-tune and test what pretrain.sh made, then write the report. What is finished is skipped, what was interrupted
# goes on.
#
#   bash finetune.sh                                             the demo, minutes on a CPU
#   bash finetune.sh configs/my.yaml                             another experiment
#   bash finetune.sh configs/demo.yaml --section.field=value     one setting changed
#   bash finetune.sh configs/demo.yaml --dry-run                 what is done, what is to do, how long it takes
#
# Relative paths start from this folder. PYTHON names another interpreter than that of .venv. Ctrl-C and SIGTERM save
# what there is to save and end with status 130.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source src/stages.sh
usage_if_asked "$@"
require_packages

run_stages "$finetuning" "$@"
