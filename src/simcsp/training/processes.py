"""One training in several processes: this script is started again once per device, as ``torchrun`` would do it."""

import logging
import os
import signal
import sys

import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from simcsp.console import INTERRUPTED
from simcsp.errors import InputError


def in_own_processes(count: int) -> bool:
    """Run this script in several processes, and come back when all have ended.

    Args:
        count: of processes; 0 for one per visible GPU.

    Returns:
        Whether that was done. If not, this process is to do the work: it is one of several already (of ``torchrun`` on
        one or many hosts, or of this function), or one is enough.

    Raises:
        InputError: if a process was killed.
        SystemExit: if one ended by itself with an error, or after SIGINT or SIGTERM, once all have ended.
    """
    count = count or max(1, torch.cuda.device_count())
    if "RANK" in os.environ or count == 1:
        return False
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    logging.disable(logging.ERROR)  # what went wrong is said once, by us
    one_host = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=count, rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0",
        run_id=str(os.getpid()), max_restarts=0, monitor_interval=0.2,
    )  # fmt: skip
    try:
        elastic_launch(one_host, sys.executable)(*sys.argv)
    except SignalException:
        sys.exit(INTERRUPTED)  # the main process has said how to go on
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        if first.exitcode >= 0:  # it has said what was wrong
            sys.exit(first.exitcode)
        raise InputError(
            f"process {rank} of {count} was killed ({signal.Signals(-first.exitcode).name}), and the others stopped",
            hint="Run the same command again to go on from the last checkpoint",
        ) from None
    return True
