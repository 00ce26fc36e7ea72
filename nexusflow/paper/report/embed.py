"""Files as part of the page, so that it needs no others."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from nexusflow.core.errors import UserError

__all__ = ["Picture", "data_uri", "embed_picture"]

_WIDEST = 1600  # pixels; enough for a wide screen, and a phone still opens the page


@dataclass(frozen=True)
class Picture:
    """A picture in the page.

    Args:
        uri: its content.
        width: pixels.
        height: pixels.
    """

    uri: str
    width: int
    height: int


def data_uri(content: bytes, kind: str) -> str:
    """Write a file as an address.

    Args:
        content: bytes of the file.
        kind: its media type, such as "text/csv".

    Returns:
        A data: address.
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def embed_picture(path: Path) -> Picture:
    """Read a figure; one wider than the page is made smaller, which keeps its proportions.

    Args:
        path: PNG file, or the GIF of a video, which stays as it is.

    Returns:
        The picture.

    Raises:
        UserError: if the file is no picture.
    """
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as picture:
            width, height = picture.size
            if width > _WIDEST and path.suffix != ".gif":
                height, width = round(height * _WIDEST / width), _WIDEST
                small = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
                buffer = io.BytesIO()
                small.quantize(256).save(buffer, format="PNG", optimize=True)
                content = buffer.getvalue()
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{path} is no picture ({error}); delete it and make it again.") from error
    kind = "image/gif" if path.suffix == ".gif" else "image/png"
    return Picture(data_uri(content, kind), width, height)
