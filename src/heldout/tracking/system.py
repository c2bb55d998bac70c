"""Samples CPU, memory and GPUs beside the training, under the names that MLflow's page of system metrics shows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

PREFIX = "system/"
MEGABYTE = 1e6
# CPU use is measured between two moments, so the first sample needs a little time before it
SHORTEST_INTERVAL = 0.1

Values = dict[str, float]


class SystemSampler:
    """A thread that logs a sample at once, one every `interval` seconds, and one when stopped, if that is not at once.

    Args:
        log_metrics: takes values by name, and the number of the sample as step.
        interval: seconds between samples.
        first_step: number of the first sample; a resumed run goes on counting.
    """

    def __init__(
        self, log_metrics: Callable[[Mapping[str, float], int], None], interval: float, first_step: int = 0
    ) -> None:
        self._log_metrics = log_metrics
        self._interval = interval
        self._step = first_step
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heldout-system-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes the last sample and ends."""
        self._stop.set()
        # importing psutil or asking a GPU can take a while; the end of a run does not wait longer for it
        self._thread.join(1.0)

    def _run(self) -> None:
        probes = [_cpu_probe(), *_gpu_probes()]
        self._stop.wait(SHORTEST_INTERVAL)
        while True:
            values: Values = {}
            for probe in probes:
                values.update(probe())
            self._log_metrics({PREFIX + name: value for name, value in values.items()}, self._step)
            self._step += 1
            taken = time.monotonic()
            if self._stop.is_set():
                return
            self._stop.wait(self._interval)
            if time.monotonic() - taken < SHORTEST_INTERVAL:
                return


def _cpu_probe() -> Callable[[], Values]:
    import psutil

    process = psutil.Process()
    # both measure since the call before
    psutil.cpu_percent()
    process.cpu_percent()

    def sample() -> Values:
        memory = psutil.virtual_memory()
        return {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "process_cpu_utilization_percentage": process.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / MEGABYTE,
            "system_memory_usage_percentage": memory.percent,
            "process_memory_usage_megabytes": process.memory_info().rss / MEGABYTE,
        }

    return sample


def _gpu_probes() -> list[Callable[[], Values]]:
    """One probe a GPU; none without GPU or without the package nvidia-ml-py."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
    return [_gpu_probe(pynvml, handle, f"gpu_{index}_") for index, handle in enumerate(handles)]


def _gpu_probe(pynvml: Any, handle: Any, prefix: str) -> Callable[[], Values]:
    def memory() -> Values:
        used = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return {
            "memory_usage_megabytes": used.used / MEGABYTE,
            "memory_usage_percentage": 100 * used.used / used.total,
        }

    def utilization() -> Values:
        return {"utilization_percentage": float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)}

    def power() -> Values:
        return {"power_usage_watts": pynvml.nvmlDeviceGetPowerUsage(handle) / 1000}

    readings = [memory, utilization, power]

    def sample() -> Values:
        values: Values = {}
        for reading in list(readings):
            try:
                values.update(reading())
            except pynvml.NVMLError as error:
                readings.remove(reading)
                log.info("%s%s is not sampled: %s", prefix, reading.__name__, error)
        return {prefix + name: value for name, value in values.items()}

    return sample
