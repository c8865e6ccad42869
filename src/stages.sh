# shellcheck shell=bash
# What pretrain.sh, finetune.sh and run.sh share: the stages, the interpreter, and how a stage is started and stopped.

python=${PYTHON:-$([[ -x .venv/bin/python ]] && echo .venv/bin/python || echo python3)}
pretraining="prepare pretrain embed" finetuning="finetune evaluate report"
stage="" stopped=""

# SIGTERM often reaches this script alone. A stage therefore runs in the background, where it does not hear Ctrl-C, and
# both signals are handed on to it from here.
stop_stage() {
  stopped=yes
  [[ -z $stage ]] || kill -TERM "$stage" 2>/dev/null || true
}
trap stop_stage INT TERM

end_if_stopped() { # STATUS of the stage; 130: it has said so itself
  [[ -n $stopped ]] || return 0
  [[ $1 -eq 130 ]] || echo "Interrupted. Run the same command again to go on from what is finished." >&2
  exit 130
}

run_stage() { # STAGE [CONFIG] [OVERRIDES…]
  local name=$1 config=configs/demo.yaml status=0
  shift
  if [[ $# -gt 0 && $1 != -* ]]; then config=$1; shift; fi
  "$python" "src/$name.py" --config "$config" "$@" &
  stage=$!
  [[ -z $stopped ]] || stop_stage # the signal came before there was something to stop
  wait "$stage" || status=$?
  while kill -0 "$stage" 2>/dev/null; do wait "$stage" || true; done # a signal ended the waiting, not the stage
  wait "$stage" && status=0 || status=$?                             # the stage's own, which bash remembers
  stage=""
  end_if_stopped "$status"
  return "$status"
}

run_stages() { # STAGES [CONFIG] [OVERRIDES…]: in turn; where only something is shown the last one, which plans for all
  local names=$1 name
  shift
  if only_shows "$@"; then names=${names##* }; fi
  for name in $names; do run_stage "$name" "$@"; done
}

run_study() { # CONFIG [OVERRIDES…]: every run of it, then their comparison; the latter plans for all, too
  local members overrides status=0
  if ! only_shows "$@"; then
    members=$("$python" src/compare.py plan --config "$@") || status=$?
    end_if_stopped "$status"
    [[ $status -eq 0 ]] || return "$status"
    while read -r -a overrides; do
      run_stages "$pretraining $finetuning" "$@" "${overrides[@]}"
    done <<<"$members"
  fi
  run_stage compare "$@"
}

usage_if_asked() { # [WORDS…]: the comment at the head of the script that was called
  local line
  case " $* " in *" --help "* | *" -h "*) ;; *) return 0 ;; esac
  while read -r line && [[ $line == "#"* ]]; do
    line=${line#"#"}
    [[ $line == "!"* ]] || echo "${line# }"
  done <"${0##*/}"
  echo
  echo "All settings: $python src/pretrain.py --help-settings"
  exit 0
}

only_shows() { # [WORDS…]: whether a stage does no more than to print something, the same as every other stage
  case " $* " in
    *" --dry-run "* | *" --help-settings "* | *" --print-config "* | *" --print-config="*) return 0 ;;
    *) return 1 ;;
  esac
}

require_packages() {
  local installed='import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in sys.argv[1:]))'
  "$python" -c "$installed" torch transformers datasets jsonargparse 2>/dev/null || {
    end_if_stopped 0
    echo "$0: $python lacks the packages SimCSP needs; install them with: bash run.sh setup" >&2
    exit 1
  }
  end_if_stopped 0
}
