"""A JPEG's markers, followed as libjpeg follows them, before anything of the file is decoded.

bytes -> nothing, or a refusal

Segments are skipped by their length and nothing is looked at behind the first end of image: thumbnails, maker notes
and the video of a motion photo hold any bytes.
"""

import re

from app.errors import UnreadableImage, UnsupportedImage

MAX_SCANS = 32
"""A progressive JPEG has about ten. Each costs a pass over the picture however few bytes it holds: a hundred
of them, in a 0.3 MB file of 49 megapixels, took a busy core 20 s."""
MAX_SEGMENTS = 4_096
"""An upload of 32 MiB in segments of 64 KiB has 512. Pillow steps through them in Python: half a million empty
ones, in 2 MB, took 1.4 s."""
MAX_PADDING_BYTES = 65_536
"""Before the first scan and in no segment. Pillow steps through them one by one: 2 MB of 0xFF took 1.8 s."""

_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA}
"""Baseline, extended, progressive and lossless; the last two with arithmetic coding. libjpeg-turbo reads all of them."""
_HIERARCHICAL = {0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF}
_JPEG_LS = 0xF7
# What has a length, and the end of image (ITU-T T.81, table B.1; T.87 for 0xF7). Not restarts (D0 to D7), which the data of a scan is
# full of, nor what is reserved: libjpeg skips that inside a scan as if it had no length, and refuses it elsewhere. Bytes
# of 0xFF before a marker are fill; without them in the pattern no run of them is gone through twice.
_MARKER = re.compile(rb"\xff([\xc0-\xc7\xc9-\xcf\xd9-\xef\xf7\xfe])")


def refuse(data: bytes) -> None:
    """Refuses a JPEG of a kind that is not read, or that would be worked on far longer than its size says.

    Raises:
        UnsupportedImage: more than 8 bits a sample, JPEG-LS, a hierarchy of pictures.
        UnreadableImage: absurdly many scans or segments, or much between the segments.
    """
    scans = segments = padding = 0
    end = 2  # of the last segment; the file begins with the start of image
    while (found := _MARKER.search(data, end)) and found[1][0] != _END_OF_IMAGE:
        segments += 1
        padding += 0 if scans else found.start() - end
        _refuse_stuffed(segments, padding)
        length = found.end()
        if kind := _unsupported(found[1][0], data[length + 2 : length + 3]):
            raise UnsupportedImage(
                f"{kind} is not accepted; save the picture as a JPEG of 8 bits, baseline or progressive, or as PNG"
            )
        end = length + max(2, int.from_bytes(data[length : length + 2], "big"))
        if found[1][0] == _SCAN:
            scans += 1
            # No more than this can be scans, and it is counted ten times faster than they are found.
            if scans == 1 and data.count(b"\xff\xda") <= MAX_SCANS:
                return
            if scans > MAX_SCANS:
                raise UnreadableImage(
                    f"the JPEG has more than {MAX_SCANS} scans; save it again as a plain one"
                )
    if not scans:  # Pillow looks for one to the end of the file, past an end of image too
        _refuse_stuffed(segments, padding + len(data) - end)


def _unsupported(marker: int, precision: bytes) -> str | None:
    """The kind that a start of frame announces, where it is not read. `precision`: its third byte, bits a sample."""
    if marker == _JPEG_LS:
        return "JPEG-LS"
    if marker in _HIERARCHICAL:
        return "hierarchical JPEG"
    # The standard knows 2 to 16 bits; anything else is damage.
    if marker in _FRAMES and precision and precision[0] != 8 and 2 <= precision[0] <= 16:
        return f"JPEG of {precision[0]} bits a sample"
    return None


def _refuse_stuffed(segments: int, padding: int) -> None:
    if segments > MAX_SEGMENTS or padding > MAX_PADDING_BYTES:
        raise UnreadableImage(
            f"the JPEG's header has more than {MAX_SEGMENTS:,} segments, or {MAX_PADDING_BYTES:,} bytes between them; "
            "save it again as a plain one"
        )
