"""HDR and wide gamut to BT.709.

PQ and HLG pictures, and those of BT.2020 or P3 primaries, are shown as a player shows them on an ordinary
screen:

1. encoded values to light, in nits: SMPTE ST 2084 (PQ); ITU-R BT.2100 with the system gamma 1.2 of a screen
   of 1000 nits (HLG); ITU-R BT.1886 (SDR).
2. light above the knee is compressed by the EETF of ITU-R BT.2390-11, section 5.4.1, from the peak of the
   content to the white of SDR, 203 nits (ITU-R BT.2408). It is computed for the largest of R, G and B, and
   all three are scaled alike, so that hues stay.
3. primaries to BT.709, in light; what lies outside is clipped.
4. light to encoded values by the inverse of BT.1886.

The peak is that of the file (MaxCLL, else that of the mastering display), or 1000 nits where it has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc

from twinpath.video.side_data import side_data

Transfer = Literal["pq", "hlg", "sdr"]
Primaries = Literal["bt2020", "p3", "bt709"]
Values = npt.NDArray[np.float64]
Light = npt.NDArray[np.floating]

SDR_WHITE_NITS = 203.0
DEFAULT_PEAK_NITS = 1000.0
_MOST_NITS = 10_000.0
_HLG_PEAK_NITS, _HLG_GAMMA = 1000.0, 1.2
_SDR_GAMMA = 2.4
_PQ_M1, _PQ_M2 = 2610 / 16384, 2523 / 4096 * 128
_PQ_C1, _PQ_C2, _PQ_C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_BT2020_LUMINANCE = (0.2627, 0.6780, 0.0593)

# x, y of red, green and blue; white is D65.
_CHROMATICITY = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_D65 = (0.3127, 0.3290)

_TRANSFERS: dict[int, Transfer] = {int(ColorTrc.SMPTE2084): "pq", int(ColorTrc.ARIB_STD_B67): "hlg"}
_PRIMARIES: dict[int, Primaries] = {int(ColorPrimaries.BT2020): "bt2020", int(ColorPrimaries.SMPTE432): "p3"}

PIXEL_FORMAT = "gbrp12le"  # of the frames that are converted
_STEPS = 4096  # its values
_ROWS = 16


@dataclass(frozen=True)
class ColorSpace:
    """What the values of a picture mean, where that is not BT.709.

    Attributes:
        transfer: From encoded values to light.
        primaries: The colours of full red, green and blue.
        peak_nits: The brightest light of the content; of HDR only.
    """

    transfer: Transfer
    primaries: Primaries
    peak_nits: float = SDR_WHITE_NITS

    @classmethod
    def of(cls, frame: VideoFrame) -> ColorSpace | None:
        """The colour space of a decoded frame by its tags; None: it is shown as it is."""
        transfer = _TRANSFERS.get(int(frame.color_trc), "sdr")
        primaries = _PRIMARIES.get(int(frame.color_primaries), "bt709")
        if transfer == "sdr":
            return None if primaries == "bt709" else cls(transfer, primaries)
        if primaries == "bt709":  # a tag is missing: HDR is BT.2020 in practice
            is_named = int(frame.color_primaries) == int(ColorPrimaries.BT709)
            primaries = "bt709" if is_named else "bt2020"
        return cls(transfer, primaries, _HLG_PEAK_NITS if transfer == "hlg" else _peak_nits(frame))


def _peak_nits(frame: VideoFrame) -> float:
    """The peak that a PQ frame states, or the default."""
    try:
        light = side_data(frame, Type.CONTENT_LIGHT_LEVEL)
        mastering = side_data(frame, Type.MASTERING_DISPLAY_METADATA)
    except ValueError:
        return DEFAULT_PEAK_NITS
    nits = float(np.frombuffer(light, dtype=np.uint32)[0]) if len(light) >= 4 else 0.0
    if not nits and len(mastering) >= 88:
        # FFmpeg's structure: 10 rationals, of which the last is the peak; two flags, the second for it.
        values = np.frombuffer(mastering, dtype=np.int32).tolist()
        numerator, denominator, has_luminance = values[18], values[19], values[21]
        nits = numerator / denominator if has_luminance and denominator > 0 else 0.0
    return min(max(nits, SDR_WHITE_NITS), _MOST_NITS) if nits > 0 else DEFAULT_PEAK_NITS


class ToBt709:
    """Shows frames of one colour space as a screen of BT.709 does; see the module's docstring.

    What depends on one value is looked up in tables of 4096 steps.
    """

    def __init__(self, space: ColorSpace) -> None:
        steps = np.linspace(0.0, 1.0, _STEPS)
        self._is_hlg, self._is_hdr = space.transfer == "hlg", space.transfer != "sdr"
        light = _to_light(steps, space.transfer)
        self._light = light.astype(np.float32)
        self._matrix = gamut_matrix(space.primaries, "bt709").tolist()
        # By the square root of light:
        self._encoded = np.round(255 * steps ** (2 / _SDR_GAMMA)).astype(np.uint8)
        self._ootf = ((steps**2) ** (_HLG_GAMMA - 1)).astype(np.float32)
        if self._is_hlg:
            compression = _compression(_HLG_PEAK_NITS * steps**2, space.peak_nits)
            compression *= _HLG_PEAK_NITS / SDR_WHITE_NITS
        else:  # by the encoded value
            compression = _compression(light * SDR_WHITE_NITS, space.peak_nits)
        self._compression = compression.astype(np.float32)

    def __call__(self, frame: VideoFrame) -> npt.NDArray[np.uint8]:
        """The (H, W, 3) uint8 pixels of a frame of the pixel format `PIXEL_FORMAT`."""
        green, blue, red = (
            np.asarray(memoryview(plane)).view("<u2").reshape(plane.height, -1)[:, : frame.width]
            for plane in frame.planes
        )
        shown = np.empty((frame.height, frame.width, 3), dtype=np.uint8)
        for top in range(0, frame.height, _ROWS):  # a part that fits the cache of a core
            rows = slice(top, top + _ROWS)
            channels = self._channels([red[rows], green[rows], blue[rows]])
            for i, weights in enumerate(self._matrix):
                light = weights[0] * channels[0]
                light += weights[1] * channels[1]
                light += weights[2] * channels[2]
                shown[rows, :, i] = self._encoded.take(_root_index(light))
        return shown

    def _channels(self, values: Sequence[npt.NDArray[np.uint16]]) -> list[Light]:
        """Light of red, green and blue, at most the white of SDR, which is 1, where it is HDR."""
        channels = [self._light.take(value) for value in values]
        if not self._is_hdr:
            return channels
        if self._is_hlg:
            luminance = _BT2020_LUMINANCE[0] * channels[0]
            luminance += _BT2020_LUMINANCE[1] * channels[1]
            luminance += _BT2020_LUMINANCE[2] * channels[2]
            gain = self._ootf.take(_root_index(luminance))
            gain *= self._compression.take(_root_index(np.maximum.reduce(channels) * gain))
        else:
            gain = self._compression.take(np.maximum(np.maximum(values[0], values[1]), values[2]))
        return [channel * gain for channel in channels]


def _root_index(light: Light) -> npt.NDArray[np.uint16]:
    """Where light from 0 to 1 lies in a table by its square root. `light` is overwritten."""
    np.clip(light, 0.0, 1.0, out=light)
    np.sqrt(light, out=light)
    light *= _STEPS - 1
    light += 0.5
    return light.astype(np.uint16)


def _to_light(values: Values, transfer: Transfer) -> Values:
    """Encoded values from 0 to 1 to light: 1 is the white of SDR, for HLG that of the scene."""
    if transfer == "sdr":
        return values**_SDR_GAMMA
    if transfer == "pq":
        return _pq_nits(values) / SDR_WHITE_NITS
    bright = (np.exp((values - _HLG_C) / _HLG_A) + _HLG_B) / 12
    return np.asarray(np.where(values <= 0.5, values**2 / 3, bright), dtype=np.float64)


def _pq_nits(values: Values) -> Values:
    """The light of PQ values in nits."""
    root = values ** (1 / _PQ_M2)
    return np.asarray(_MOST_NITS * (np.maximum(root - _PQ_C1, 0) / (_PQ_C2 - _PQ_C3 * root)) ** (1 / _PQ_M1))


def _pq(nits: Values | float) -> Values:
    """The PQ value of light in nits."""
    power = (np.asarray(nits, dtype=np.float64) / _MOST_NITS) ** _PQ_M1
    return np.asarray(((_PQ_C1 + _PQ_C2 * power) / (1 + _PQ_C3 * power)) ** _PQ_M2)


def _compression(nits: Values, peak_nits: float) -> Values:
    """By what light is multiplied: the EETF of BT.2390 to the white of SDR, with black at 0."""
    nits = np.maximum(nits, 1e-6)
    peak = float(_pq(peak_nits))
    most = float(_pq(SDR_WHITE_NITS)) / peak
    value = np.minimum(_pq(nits) / peak, 1.0)
    knee = 1.5 * most - 0.5
    t = np.clip((value - knee) / max(1 - knee, 1e-9), 0.0, 1.0)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    )
    return _pq_nits(np.where(value < knee, value, bent) * peak) / nits


def gamut_matrix(source: Primaries, target: Primaries) -> Values:
    """(3, 3) from linear RGB of one set of primaries to that of another."""
    return np.asarray(np.linalg.solve(_to_xyz(target), _to_xyz(source)), dtype=np.float64)


def _to_xyz(primaries: Primaries) -> Values:
    """(3, 3) from linear RGB to CIE XYZ."""
    columns = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in _CHROMATICITY[primaries]]).T
    x, y = _D65
    white = np.array([x / y, 1.0, (1 - x - y) / y])
    return np.asarray(columns * np.linalg.solve(columns, white))
