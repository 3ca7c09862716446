"""The arithmetic of a run: what its precision means on its device, and the settings of torch that make it fast there.

Weights, gradients, optimiser and residual sums are fp32 in every precision. `tf32`, `bf16` and `fp16` are what matrix
products multiply in. All of this is process-wide state of torch: a worker sets it once, before its first product.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import torch

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}

_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1  # <malloc.h>
_KEEP_BYTES = 1 << 30


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context in which the model's forward pass runs."""
    kind = AUTOCAST.get(precision)
    return torch.autocast(device.type, dtype=kind or torch.bfloat16, enabled=kind is not None)


def set_up(precision: str, device: torch.device) -> None:
    """Make this process compute in `precision` on `device`, and as fast as that allows without changing the result."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        # the same bits again on the same card, so that a resumed run is the run that was not interrupted
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    else:
        keep_freed_memory()
        route_products_to_onednn()


def keep_freed_memory() -> None:
    """Let glibc keep what is freed: tensors of a step come back in the next one, and fetching their pages anew from the
    kernel costs a tenth of an update. Does nothing where the C library is another one.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)


def route_products_to_onednn() -> bool:
    """Compute fp32 products with oneDNN where MKL, torch's default, leaves half the processor idle; True if so.

    MKL runs its AVX-512 kernels on Intel's processors only; oneDNN's fp32 kernels run them anywhere, twice as fast on the
    others. torch hands products to oneDNN when it may round operands to bf16. oneDNN makes no use of that licence without
    AMX, but that is its affair: products are tried here, and only if every one is exact fp32 does the route stay.
    """
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    if matmul is None or not torch.backends.mkldnn.is_available():
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or _vendor() == "GenuineIntel":
        return False
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    if products_are_fp32():
        return True
    matmul.fp32_precision = before
    return False


def products_are_fp32() -> bool:
    """True if matrix products of the forms that training makes keep the bits that bf16 has no room for."""
    fine = 1.0 + 2.0**-12  # 1 in bf16
    for rows, inner, columns in ((64, 64, 64), (256, 64, 2048), (512, 256, 256), (128, 32, 128)):
        left, right = torch.full((rows, inner), fine), torch.ones(columns, inner)
        wanted = torch.tensor(inner * fine)
        found = [
            torch.mm(left, right.t()),
            torch.mm(left, right.t().contiguous()),
            torch.mm(right, left.t()),
            torch.mm(left.t().contiguous().t(), right.t()),
            torch.addmm(torch.zeros(columns), left, right.t()),
            torch.bmm(left.expand(2, -1, -1), right.t().expand(2, -1, -1)),
        ]
        if not all(torch.allclose(product, wanted, rtol=1e-6, atol=0.0) for product in found):
            return False
    return True


@contextlib.contextmanager
def onednn_products() -> Iterator[bool]:
    """`route_products_to_onednn` for the length of a block, for benchmarks and tests that need both."""
    matmul = getattr(torch.backends.mkldnn, "matmul", None)
    before = None if matmul is None else matmul.fp32_precision
    try:
        yield route_products_to_onednn()
    finally:
        if matmul is not None:
            matmul.fp32_precision = before


def _vendor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("vendor_id"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return ""
