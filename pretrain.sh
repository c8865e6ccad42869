#!/usr/bin/env bash
# Prepare the data of an experiment, pre-train on it, and measure the encoders. What is finished is skipped, what was
# interrupted goes on.
#
#   bash pretrain.sh                                             the demo, minutes on a CPU
#   bash pretrain.sh configs/my.yaml                             another experiment
#   bash pretrain.sh configs/demo.yaml --section.field=value     one setting changed
#   bash pretrain.sh configs/demo.yaml --dry-run                 what is done, what is to do, how long it takes
#
# Relative paths start from this folder. PYTHON names another interpreter than that of .venv. Ctrl-C and SIGTERM save
# what there is to save and end with status 130.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source src/stages.sh
usage_if_asked "$@"
require_packages

run_stages "$pretraining" "$@"
