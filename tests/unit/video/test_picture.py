"""The picture as a player shows it: turned, mirrored, and in the colours of BT.709."""

import itertools

import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc

from tests.support import bad_videos
from twinpath.video.decode import EvenSpan, FrameStream, read_frames
from twinpath.video.isolated import probe_isolated
from twinpath.video.orientation import Orientation
from twinpath.video.probe import probe

FIRST = [EvenSpan(0, 0.1, num_frames=1)]

# A display matrix (a, b, c, d), where it leaves the white top left corner, and how that is put as a rotation.
SHOWN = [
    ((1, 0, 0, 1), "top left", 0, False),
    ((-1, 0, 0, 1), "top right", 0, True),  # ffmpeg -display_hflip
    ((1, 0, 0, -1), "bottom left", 180, True),  # ffmpeg -display_vflip
    ((-1, 0, 0, -1), "bottom right", 180, False),
    ((0, 1, 1, 0), "top left", 90, True),
    ((0, 1, -1, 0), "top right", 270, False),
    ((0, -1, 1, 0), "bottom left", 90, False),
    ((0, -1, -1, 0), "bottom right", 270, True),
]


def white_corner(picture):
    height, width, _ = picture.shape
    corners = {
        f"{vertical} {horizontal}": picture[y, x].mean()
        for (vertical, y), (horizontal, x) in itertools.product(
            (("top", 8), ("bottom", height - 8)), (("left", 8), ("right", width - 8))
        )
    }
    return max(corners, key=corners.get)


@pytest.mark.parametrize(("matrix", "corner", "rotation_deg", "is_mirrored"), SHOWN)
def test_a_display_matrix_is_obeyed_with_its_mirror(tmp_path, matrix, corner, rotation_deg, is_mirrored):
    path = bad_videos.make_oriented(tmp_path, matrix)
    picture = read_frames(path, FIRST).frames[0]
    assert picture.shape == ((64, 48, 3) if rotation_deg % 180 else (48, 64, 3))
    assert white_corner(picture) == corner
    info = probe(path)
    assert (info.rotation_deg, info.is_mirrored) == (rotation_deg, is_mirrored)
    assert (info.height, info.width) == picture.shape[:2]
    with FrameStream(path) as stream:
        assert np.array_equal(next(iter(stream))[1], picture)


def test_a_mirror_is_obeyed_in_another_process(tmp_path):
    path = bad_videos.make_oriented(tmp_path, (-1, 0, 0, 1))
    assert probe_isolated(path) == probe(path)
    assert probe(path).is_mirrored


def test_a_matrix_between_quarter_turns_counts_as_the_nearest():
    assert Orientation.of_matrix(50_000, -42_000, 42_000, 50_000) == Orientation()
    assert Orientation.of_matrix(42_000, 50_000, 50_000, -42_000) == Orientation(1, is_mirrored=True)
    assert Orientation.of_matrix(0, 0, 0, 0) == Orientation()


def test_the_eight_forms_of_exif_are_those_of_pillow():
    Image = pytest.importorskip("PIL.Image")
    from PIL import ImageOps

    picture = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    for value in range(10):
        image = Image.fromarray(picture)
        image.getexif()[0x112] = value
        expected = np.asarray(ImageOps.exif_transpose(image))
        assert np.array_equal(Orientation.of_exif(value).apply(picture), expected)


# Colours. The formulas below are written once more, plainly, from the recommendations.


def pq_to_nits(value):
    root = value ** (1 / 78.84375)
    return 10_000 * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def nits_to_pq(nits):
    power = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg_to_nits(color):
    scene = [
        v * v / 3 if v <= 0.5 else (np.exp((v - 0.55991073) / 0.17883277) + 0.28466892) / 12 for v in color
    ]
    luminance = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
    return [1000 * luminance**0.2 * v for v in scene]


def bt2390(nits, *, peak=1000.0, white=203.0):
    """The EETF of BT.2390, with black at 0."""
    value, most = nits_to_pq(nits) / nits_to_pq(peak), nits_to_pq(white) / nits_to_pq(peak)
    knee = 1.5 * most - 0.5
    if value > knee:
        t = (min(value, 1) - knee) / (1 - knee)
        value = (2 * t**3 - 3 * t**2 + 1) * knee
        value += (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return pq_to_nits(value * nits_to_pq(peak))


FROM_BT2020 = np.array(  # ITU-R BT.2087, annex
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)


def shown_hdr(nits):
    brightest = max(*nits, 1e-6)
    light = FROM_BT2020 @ (np.array(nits) * bt2390(brightest) / brightest) / 203
    return 255 * np.clip(light, 0, 1) ** (1 / 2.4)


GREYS = [(v, v, v) for v in (0.0, 0.1, 0.3, 0.5, 0.58, 0.7, 0.75, 1.0)]
COLOURS = [
    (0.5, 0.4, 0.3),
    (0.3, 0.5, 0.6),
    (0.55, 0.55, 0.2),
    (0.75, 0.3, 0.3),
    (0.2, 0.2, 0.7),
    (0.4, 0.75, 0.5),
]


def bars(path, count):
    picture = read_frames(path, FIRST).frames[0]
    width = picture.shape[1] // count
    return picture[10, width // 2 :: width].astype(float)


@pytest.mark.parametrize("colors", [GREYS, COLOURS])
def test_pq_is_shown_by_bt2390(tmp_path, colors):
    path = bad_videos.make_hdr(
        tmp_path, np.array(colors), transfer=ColorTrc.SMPTE2084, primaries=ColorPrimaries.BT2020
    )
    expected = [shown_hdr([pq_to_nits(v) for v in color]) for color in colors]
    assert np.abs(bars(path, len(colors)) - expected).max() <= 1.5


@pytest.mark.parametrize("colors", [GREYS, COLOURS])
def test_hlg_is_shown_by_bt2100_and_bt2390(tmp_path, colors):
    path = bad_videos.make_hdr(
        tmp_path, np.array(colors), transfer=ColorTrc.ARIB_STD_B67, primaries=ColorPrimaries.BT2020
    )
    expected = [shown_hdr(hlg_to_nits(color)) for color in colors]
    assert np.abs(bars(path, len(colors)) - expected).max() <= 1.5


def test_wide_gamut_without_hdr_keeps_its_colours(tmp_path):
    """A red of BT.709 in BT.2020's numbers is full red again; greys stay as they are."""
    to_bt2020 = np.linalg.inv(FROM_BT2020)
    colors = [(to_bt2020 @ [1, 0, 0]) ** (1 / 2.4), (0.5, 0.5, 0.5)]
    path = bad_videos.make_hdr(
        tmp_path, np.array(colors), transfer=ColorTrc.BT2020_10, primaries=ColorPrimaries.BT2020
    )
    red, grey = bars(path, 2)
    assert np.abs(red - [255, 0, 0]).max() <= 12  # the matrix has four digits, and dark values are steep
    assert np.abs(grey - 127.5).max() <= 1


def test_p3_keeps_its_colours(tmp_path):
    colors = [(1.0, 1.0, 1.0), (0.4, 0.6, 0.5)]
    path = bad_videos.make_hdr(
        tmp_path, np.array(colors), transfer=ColorTrc.BT709, primaries=ColorPrimaries.SMPTE432
    )
    white, green = bars(path, 2)
    assert white.tolist() == [255, 255, 255]
    assert green[0] < 0.4 * 255 < 0.6 * 255 < green[1]  # more saturated in BT.709's numbers


def test_bt709_is_left_alone(tmp_path):
    colors = np.array([(0.2, 0.4, 0.6), (0.9, 0.5, 0.1)])
    path = bad_videos.make_hdr(tmp_path, colors, transfer=ColorTrc.BT709, primaries=ColorPrimaries.BT709)
    assert np.abs(bars(path, 2) - 255 * colors).max() <= 1
