#!/usr/bin/env bash
# The door to everything around the stages: environment, demo, tests, container, TensorBoard. `bash run.sh help`.
# Written for bash 3.2, which macOS still ships.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# The one pin that constraints.txt leaves out, because the container brings its own build of it. Another CUDA than
# PyPI's: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cu126 bash run.sh setup
torch=torch==2.13.0
cpu_index=https://download.pytorch.org/whl/cpu
stamp=.venv/simcsp-setup # what the environment was made from; "unfinished" while it is being made
container=simcsp
address=http://127.0.0.1:${PORT:=6006}

usage() {
  cat <<'TEXT'
usage: bash run.sh [COMMAND]

  (none)            start the container with TensorBoard; TensorBoard from .venv where docker or the GPU is missing
  container         start the container with TensorBoard in any case, without a GPU where there is none
  container check   say what the container lacks here; nothing if it lacks nothing
  setup             make .venv with the pinned packages; nothing to do when it is up to date
  demo [OVERRIDES…] setup, then pre-train, fine-tune and report on a simulated genome, in minutes on a CPU
  experiment CONFIG [OVERRIDES…]
                    setup, then pretrain.sh and finetune.sh on one configuration
  search CONFIG [OVERRIDES…]
                    setup, then pretrain.sh and the search for settings of its contrastive phase
  study CONFIG [OVERRIDES…]
                    setup, then every seed with every number of labels, and one report of them all
  doctor [CONFIG] [OVERRIDES…]
                    look at whether SimCSP works here, as it is now; installs nothing
  test [ARGS…]      setup, then lint, types and tests; ARGS go to pytest (--cov: with the lines that no test reached)
  tensorboard       TensorBoard for runs/
  shell [COMMAND…]  a shell, or one command, in the container if it runs, else in .venv
  help              this text

With --dry-run, demo, experiment, search and study set up the environment and show what they would do.
PORT is TensorBoard's port on 127.0.0.1 (6006); PYTHON is the interpreter that .venv is made from.
TEXT
}

fail() {
  echo "run.sh: $*." >&2
  exit 1
}

step() { # LABEL COMMAND…: say what is done and how long it took
  local label=$1 start=$SECONDS
  shift
  printf '%s ... ' "$label"
  "$@"
  echo "$((SECONDS - start)) s"
}

digest() {
  { sha256sum 2>/dev/null || shasum -a 256; } | cut -c 1-12
}

has_gpu() {
  nvidia-smi -L >/dev/null 2>&1
}

# --- environment ---------------------------------------------------------------------------------------------------

find_python() { # print the first interpreter that will do
  local candidate version found=""
  if [[ -n ${PYTHON:-} ]]; then set -- "$PYTHON"; else set -- python3 python3.13 python3.12 python3.11; fi
  for candidate in "$@"; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    case $version in 3.11 | 3.12 | 3.13) echo "$candidate" && return ;; esac
    found="$found, $candidate is $version"
  done
  fail "Python 3.11, 3.12 or 3.13 is needed${found:-, and no Python was found}"
}

new_venv() {
  rm -rf .venv
  mkdir .venv
  echo unfinished >"$stamp"
  "$1" -m venv .venv
}

pip_install() { # modules are compiled when first imported: that halves the time
  .venv/bin/python -m pip install -qq --no-compile --no-input --disable-pip-version-check \
    --constraint constraints.txt "$@"
}

install_torch() { # without an NVIDIA GPU, Linux takes the CPU build: a tenth of the download
  local request='import sys, urllib.request as r; r.urlopen(r.Request(sys.argv[1], method="HEAD"), timeout=5)'
  if [[ $(uname -s) == Linux ]] && ! has_gpu &&
    .venv/bin/python -c "$request" "$cpu_index/torch/" >/dev/null 2>&1; then
    pip_install "$torch" --extra-index-url "$cpu_index"
  else
    pip_install "$torch"
  fi
}

setup() { # [EXTRA]: EXTRA is nothing or "[test]"
  local extra=${1:-} made_from known="" python
  [[ -z ${SIMCSP_CONTAINER:-} ]] || return 0 # the image is the environment
  made_from=$({ pwd && echo "$torch" && cat pyproject.toml constraints.txt; } | digest)
  [[ ! -f $stamp ]] || known=$(<"$stamp")
  case $known in
    "$made_from$extra" | "${made_from}[test]") return ;;
    "$made_from") ;; # only the test tools are missing
    *)
      [[ -n $known || ! -d .venv ]] ||
        fail ".venv was not made by run.sh; move it away, or run the stages with PYTHON=.venv/bin/python"
      python=$(find_python)
      echo "Installing about 2 GB into .venv, which takes a minute or two:"
      step "new environment from $python in .venv" new_venv "$python"
      ;;
  esac
  echo unfinished >"$stamp"
  step "$torch" install_torch
  step "simcsp$extra and what it needs" pip_install --editable ".$extra"
  echo "$made_from$extra" >"$stamp"
}

# --- what one does in it -------------------------------------------------------------------------------------------

open_stages() { # [CONFIG…]: what a command was given. No subshells from here on: signals reach this shell alone
  [[ $# -gt 0 && $1 != -* ]] || fail "$command needs a configuration, for instance configs/experiments/exp1.yaml"
  setup
  [[ -n ${SIMCSP_CONTAINER:-} ]] || export PYTHON=.venv/bin/python
  source src/stages.sh
  require_packages
}

experiment() { # CONFIG [OVERRIDES…]
  open_stages "$@"
  run_stages "$pretraining $finetuning" "$@"
}

search() { # CONFIG [OVERRIDES…]
  open_stages "$@"
  run_stages "$pretraining search" "$@"
}

study() { # CONFIG [OVERRIDES…]
  open_stages "$@"
  run_study "$@"
}

doctor() { # [CONFIG] [OVERRIDES…]: what is there is looked at, nothing is installed
  local python=.venv/bin/python
  [[ -z ${PYTHON:-} && -x $python ]] || python=$(find_python)
  if [[ $# -gt 0 && $1 != -* ]]; then set -- --config "$@"; fi
  exec "$python" src/doctor.py "$@"
}

run_tests() {
  setup '[test]'
  PATH=$PWD/.venv/bin:$PATH
  ruff check .
  ruff format --check .
  mypy src tests
  shellcheck ./*.sh src/*.sh .ci/run
  hadolint Dockerfile
  check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
  check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff
  exec python -m pytest "$@"
}

say_addresses() { # URL of TensorBoard; the second page has one colour per initialisation
  echo "TensorBoard: $1/#custom_scalars&_smoothingWeight=0"
  echo "Every number: $1/?smoothing=0&runColorGroup=regex:%28phase-%5Cw*%7C%5Cw*/fold%29#timeseries"
}

tensorboard_here() {
  mkdir -p runs
  if [[ -n ${SIMCSP_CONTAINER:-} ]]; then # its port is published on the host's 127.0.0.1 only
    exec tensorboard --logdir runs --bind_all --port 6006 --samples_per_plugin images=100
  fi
  [[ -x .venv/bin/tensorboard ]] || setup
  say_addresses "$address"
  echo "Ctrl-C ends it."
  exec .venv/bin/tensorboard --logdir runs --host 127.0.0.1 --port "$PORT" --samples_per_plugin images=100
}

# --- container -----------------------------------------------------------------------------------------------------

missing_docker() { # print what is missing for any container; nothing if it can be had
  command -v docker >/dev/null || { echo "docker is not installed" && return; }
  docker info >/dev/null 2>&1 || echo "docker does not answer"
}

missing_gpu() { # print what is missing for a GPU in it
  has_gpu || { echo "no NVIDIA GPU was found" && return; }
  case $(docker info --format '{{json .Runtimes}}') in *nvidia*) return ;; esac
  command -v nvidia-container-cli >/dev/null || echo "docker lacks the NVIDIA container toolkit"
}

missing_for_container() {
  local missing
  missing=$(missing_docker)
  echo "${missing:-$(missing_gpu)}"
}

running_image() { # print the image of our container, nothing if it does not run
  docker ps --filter "name=^/?$container\$" --format '{{.Image}}' 2>/dev/null || true
}

start_container() {
  local image running user missing
  image=$container:$(cat Dockerfile .dockerignore pyproject.toml constraints.txt ./*.sh src/*.sh | digest)
  running=$(running_image)
  if [[ $running == "$image" ]]; then
    echo "The container $container is already running."
  elif [[ -n $running ]]; then
    echo "The container $container runs an older image; \`docker rm -f $container\` and run this again to renew it."
  else
    docker image inspect "$image" >/dev/null 2>&1 || docker build --tag "$image" .
    docker rm -f "$container" >/dev/null 2>&1 || true # a stopped one of the same name
    mkdir -p data runs configs
    user=$(id -u):$(id -g) # so that what it writes belongs to the caller
    case $(docker info --format '{{.SecurityOptions}}') in *rootless*) user=0:0 ;; esac # there, root is the caller
    missing=$(missing_gpu)
    if [[ -z $missing ]]; then set -- --gpus all --ipc=host; else echo "The container gets no GPU, because $missing."; fi
    docker run --detach --init --name "$container" "$@" --user "$user" \
      --publish "127.0.0.1:$PORT:6006" \
      --volume "$PWD/data:/workspace/data" --volume "$PWD/runs:/workspace/runs" \
      --volume "$PWD/configs:/workspace/configs" --volume "$PWD/src:/workspace/src" \
      "$image" >/dev/null
  fi
  say_addresses "http://$(docker port "$container" 6006 | head -n 1)"
  echo "A shell in it, for pretrain.sh and finetune.sh: bash run.sh shell"
}

container() { # [check]
  local missing
  if [[ ${1:-} == check ]]; then
    missing_for_container
  else
    [[ $# -eq 0 ]] || fail "container takes nothing or \"check\", but was given: $*"
    missing=$(missing_docker)
    [[ -z $missing ]] || fail "there can be no container, because $missing"
    start_container
  fi
}

start() {
  local missing
  missing=$(missing_for_container)
  if [[ -z $missing ]]; then
    start_container
  else
    echo "No container, because $missing: TensorBoard is started from .venv instead."
    tensorboard_here
  fi
}

open_shell() {
  [[ $# -gt 0 ]] || set -- bash
  if command -v docker >/dev/null && [[ -n $(running_image) ]]; then
    if [[ -t 0 ]]; then set -- --tty "$container" "$@"; else set -- "$container" "$@"; fi
    exec docker exec --interactive "$@"
  fi
  [[ -x .venv/bin/python ]] || setup
  export VIRTUAL_ENV=$PWD/.venv PATH=$PWD/.venv/bin:$PATH
  exec "$@"
}

command=${1:-start}
[[ $# -eq 0 ]] || shift
case $command in
  start | setup | tensorboard | help) [[ $# -eq 0 ]] || fail "$command takes no arguments, but was given: $*" ;;
  demo | experiment | search | study) case " $* " in *" --help "* | *" -h "*) command=help ;; esac ;;
esac
case $command in
  start) start ;;
  setup) setup ;;
  demo) experiment configs/demo.yaml "$@" ;;
  experiment) experiment "$@" ;;
  search) search "$@" ;;
  study) study "$@" ;;
  test) run_tests "$@" ;;
  doctor) doctor "$@" ;;
  container) container "$@" ;;
  tensorboard) tensorboard_here ;;
  shell) open_shell "$@" ;;
  help | -h | --help) usage ;;
  *)
    echo "run.sh: there is no command \"$command\"; \`bash run.sh help\` lists them." >&2
    exit 2
    ;;
esac
