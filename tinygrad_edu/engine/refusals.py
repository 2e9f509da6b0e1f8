"""NumPy's functions that have no operation behind them: why, and what to write.

One entry a function, by its name without the first "numpy.". Errors print it, the page
of NumPy's functions lists it, and the tests compare what is to be written with what the
function gives, gradients too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["REFUSED", "Refusal"]


class Refusal(NamedTuple):
    """Why a function of NumPy is refused, and what to write in its place."""

    why: str  # what the function does, as a sentence goes on
    instead: str  # code; empty where there is none that is short
    smooth: bool  # whether it has a derivative


def _refused(why: str, instead: Mapping[str, str]) -> dict[str, Refusal]:
    smooth = why in (_SMOOTH, _COMPLEX)
    return {name: Refusal(why, code, smooth) for name, code in instead.items()}


def _names(text: str, instead: str = "") -> dict[str, str]:
    return dict.fromkeys(text.split(), instead)


_SMOOTH = "has no operation behind it"
_COMPLEX = "gives complex numbers, which are not supported"
_STEPS = "has steps, and the derivative 0 between them"
_PLACES = "gives positions, or yes and no, which have no derivative"
_VALUES = "gives which values occur, or how often, which has no derivative"
_WHOLE = "is for whole numbers, which have no derivative"
_WRITES = "writes into an array, and what was recorded must stay as it was"
_TEXT = "is for text, files or dates"
_TYPES = "is about types or memory, not about numbers"

_NOT_NAN = "h[~np.isnan(h)]"
_BETWEEN = (
    "i, r = divmod(0.3 * (len(s) - 1), 1); s[int(i)] + r * (s[int(i) + 1] - s[int(i)])"
)
_CENTRED = "v = np.stack([x - np.mean(x), y - np.mean(y)])"
_FULL = "te.conv1d(x[None, None], w[None, None, ::-1], padding=len(w) - 1)[0, 0]"
_ANGLES = "a = 2 * np.pi * np.outer(np.arange({0}), np.arange(4)) / 4"

REFUSED: dict[str, Refusal] = {
    **_refused(
        _SMOOTH,
        {
            "apply_along_axis": "np.stack([f(row) for row in A])",
            "apply_over_axes": "np.sum(A, axis=(0, 1), keepdims=True)",
            "astype": "x.astype(float)",
            "average": "np.mean(x)",
            "bincount": "te.zeros(3).at[k].add(w)",
            "block": "np.vstack([np.hstack([A, c]), np.append(b, 1.0)])",
            "broadcast_arrays": "np.broadcast_to(x, (3, 4)), np.broadcast_to(c, (3, "
            "4))",
            "choose": "np.where(mask, y, x)",
            "compress": "x[mask]",
            "conjugate": "x",
            "convolve": _FULL,
            "corrcoef": f"{_CENTRED}; c = v @ v.T; d = np.sqrt(np.diag(c)); c / "
            f"np.outer(d, d)",
            "correlate": "te.conv1d(x[None, None], w[None, None])[0, 0]",
            "cov": f"{_CENTRED}; v @ v.T / (len(x) - 1)",
            "cumulative_prod": "np.cumprod(x)",
            "cumulative_sum": "np.cumsum(x)",
            "delete": "x[np.delete(np.arange(len(x)), 1)]",
            "diagflat": "np.diag(np.ravel(A))",
            "diff": "x[1:] - x[:-1]",
            "dsplit": "np.split(T, 2, axis=2)",
            "ediff1d": "x[1:] - x[:-1]",
            "extract": "x[mask]",
            "fft.fftshift": "np.roll(x, len(x) // 2)",
            "fft.ifftshift": "np.roll(x, -(len(x) // 2))",
            "float_power": "x**y",
            "fmod": "x - y * np.trunc(x / y)",
            "geomspace": "x[0] * (x[1] / x[0]) ** (np.arange(5) / 4)",
            "gradient": "np.concatenate([x[1:2] - x[:1], (x[2:] - x[:-2]) / 2, "
            "x[-1:] - x[-2:-1]])",
            "hsplit": "np.split(A, 3, axis=1)",
            "i0": "",
            "insert": "np.concatenate([x[:1], np.atleast_1d(y[0]), x[1:]])",
            "interp": "i = np.clip(np.searchsorted(xp, x) - 1, 0, len(xp) - 2); "
            "r = (x - xp[i]) / (xp[i + 1] - xp[i]); fp[i] + r * (fp[i + 1] - fp[i])",
            "ldexp": "x[:3] * 2.0**k",
            "linalg.cond": "s = te.svdvals(A); s[0] / s[-1]",
            "linalg.lstsq": "np.linalg.pinv(A) @ b",
            "linalg.tensorinv": "np.linalg.inv(T.reshape(4, 4)).reshape(T.shape)",
            "linalg.tensorsolve": "np.linalg.solve(T.reshape(4, 4), np.ravel(B))"
            ".reshape(2, 2)",
            "linalg.vecdot": "np.sum(x * y, axis=-1)",
            "linalg.vector_norm": "np.linalg.norm(x)",
            "linspace": "x[0] + (x[1] - x[0]) * np.arange(5) / 4",
            "logspace": "10.0 ** (x[0] + (x[1] - x[0]) * np.arange(5) / 4)",
            "matvec": "np.einsum('...ij,...j->...i', A, b)",
            "meshgrid": "np.broadcast_to(x, (4, 4)), np.broadcast_to(y[:, None], (4, "
            "4))",
            "modf": "x - np.trunc(x), np.trunc(x)",
            "nancumprod": "np.cumprod(np.where(np.isnan(h), 1.0, h))",
            "nancumsum": "np.cumsum(np.where(np.isnan(h), 0.0, h))",
            "nanmax": f"np.max({_NOT_NAN})",
            "nanmean": f"np.mean({_NOT_NAN})",
            "nanmedian": f"np.median({_NOT_NAN})",
            "nanmin": f"np.min({_NOT_NAN})",
            "nanpercentile": f"s = np.sort({_NOT_NAN}); {_BETWEEN}",
            "nanprod": f"np.prod({_NOT_NAN})",
            "nanquantile": f"s = np.sort({_NOT_NAN}); {_BETWEEN}",
            "nanstd": f"np.std({_NOT_NAN})",
            "nansum": f"np.sum({_NOT_NAN})",
            "nanvar": f"np.var({_NOT_NAN})",
            "partition": "np.sort(x)",
            "percentile": f"s = np.sort(x); {_BETWEEN}",
            "poly": "functools.reduce(lambda p, r: np.append(p, 0.0) - r * "
            "np.append(0.0, p), x, np.ones(1))",
            "polyadd": "np.append(x[:1], x[1:] + w)",
            "polyder": "x[:-1] * np.arange(len(x) - 1, 0, -1)",
            "polydiv": "",
            "polyfit": "np.linalg.pinv(x[:, None] ** np.arange(2, -1, -1)) @ y",
            "polyint": "np.append(x / np.arange(len(x), 0, -1), 0.0)",
            "polymul": _FULL,
            "polysub": "np.append(x[:1], x[1:] - w)",
            "polyval": "np.sum(w * x[:, None] ** np.arange(len(w) - 1, -1, -1), "
            "axis=-1)",
            "ptp": "np.max(x) - np.min(x)",
            "quantile": f"s = np.sort(x); {_BETWEEN}",
            "real": "x",
            "real_if_close": "x",
            "resize": "x[np.arange(6) % len(x)].reshape(2, 3)",
            "rollaxis": "np.moveaxis(T, 2, 0)",
            "select": "np.where(x < 1, x, np.where(x < 1.5, y, 0.0))",
            "sort_complex": "np.sort(x)",
            "trapezoid": "np.sum((x[1:] + x[:-1]) / 2)",
            "trim_zeros": "x[np.flatnonzero(x)[0] : np.flatnonzero(x)[-1] + 1]",
            "unstack": "tuple(A)",
            "unwrap": "p + (np.unwrap(p.detach().numpy()) - p.detach())",
            "vander": "x[:, None] ** np.arange(len(x) - 1, -1, -1)",
            "vecdot": "np.sum(x * y, axis=-1)",
            "vecmat": "np.einsum('...i,...ij->...j', b, A)",
            "vsplit": "np.split(A, 3, axis=0)",
        },
    ),
    **_refused(
        _COMPLEX,
        {
            "fft.fft": f"{_ANGLES.format(4)}; np.cos(a) @ x, -np.sin(a) @ x",
            "fft.rfft": f"{_ANGLES.format(3)}; np.cos(a) @ x, -np.sin(a) @ x",
            "linalg.eig": "np.linalg.eigh(S)",
            "linalg.eigvals": "np.linalg.eigvalsh(S)",
            "roots": "",
            **_names(
                "fft.fft2 fft.fftn fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.ihfft"
            ),
            **_names("fft.irfft fft.irfft2 fft.irfftn fft.rfft2 fft.rfftn"),
        },
    ),
    **_refused(
        _STEPS,
        {
            **_names(
                "angle fix frexp heaviside imag linalg.matrix_rank nextafter spacing"
            ),
        },
    ),
    **_refused(
        _PLACES,
        {
            **_names("argpartition array_equiv diag_indices_from iscomplex isin isnat"),
            **_names("isneginf isposinf isreal ix_ lexsort nanargmax nanargmin"),
            **_names("ravel_multi_index tril_indices_from triu_indices_from"),
            **_names("unravel_index"),
        },
    ),
    **_refused(
        _VALUES,
        {
            **_names(
                "histogram histogram2d histogram_bin_edges histogramdd intersect1d"
            ),
            **_names("setdiff1d setxor1d union1d unique unique_all unique_counts"),
            **_names("unique_inverse unique_values"),
        },
    ),
    **_refused(
        _WHOLE,
        {
            **_names("bitwise_and bitwise_count bitwise_or bitwise_xor gcd invert lcm"),
            **_names("left_shift packbits right_shift unpackbits"),
        },
    ),
    **_refused(
        _WRITES,
        {
            "copyto": "x.at[mask].set(y[mask])",
            "fill_diagonal": "A.at[np.diag_indices(3)].set(b)",
            "place": "x.at[mask].set(w)",
            "put": "x.at[k].set(w)",
            "put_along_axis": "x.at[k].set(w)",
            "putmask": "np.where(mask, y, x)",
        },
    ),
    **_refused(
        _TEXT,
        {
            **_names("array2string array_repr array_str busday_count busday_offset"),
            **_names("datetime_as_string einsum_path is_busday save savetxt savez"),
            **_names("savez_compressed"),
        },
    ),
    **_refused(
        _TYPES,
        {
            **_names("can_cast common_type iscomplexobj isrealobj may_share_memory"),
            **_names("min_scalar_type shares_memory"),
        },
    ),
}
