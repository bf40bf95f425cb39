"""Drive a run over as many pairs as the first argument, with tasks that do nothing, and print the peak memory in KiB.

The second argument is a folder. The workers are threads of this process. They use TCP: without it, distributed looks
for the address of this machine on the network.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import distributed

from aioconnections.cluster.driver import ClusterRun
from aioconnections.cluster.partitions import Partition
from aioconnections.cluster.settings import TaskSettings

local_cluster: Any = distributed.LocalCluster  # without types
client_of: Any = distributed.Client


def pretend(settings: TaskSettings, partition: Partition, topic: str) -> dict[str, int]:
    """Write an empty part."""
    del topic
    settings.part(partition.number).touch()
    return {"read": partition.section.rows, "checked": partition.section.rows}


def main(count: int, folder: Path) -> None:
    with (folder / "pairs.csv").open("w") as file:
        file.write("source_userid,target_userid,note\n")
        for number in range(count):
            file.write(f'source-{number},target-{number},"of {number}"\n')
    with ClusterRun.of(folder / "pairs.csv", "http://127.0.0.1:1", folder / "results", {}, pretend) as run:
        run.prepare()
        with (
            local_cluster(
                n_workers=1, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address="127.0.0.1:0"
            ) as cluster,
            client_of(cluster, set_as_default=False) as client,
        ):
            client.sync(run.do, client)
    result = run.result()
    assert (result.missing, result.rows, result.tally.checked) == (0, count, count)


main(int(sys.argv[1]), Path(sys.argv[2]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.stdout.write(f"{peak // 1024 if sys.platform == 'darwin' else peak}\n")
