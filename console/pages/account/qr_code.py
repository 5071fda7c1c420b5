"""QR codes as the path of an inline SVG, which needs neither a picture from elsewhere nor a style of its own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class QrCode:
    """`size` is the number of modules of a side, with the quiet zone of 4; `path` draws the dark ones, each 1 wide."""

    size: int
    path: str


def draw_qr_code(text: str) -> QrCode:
    import qrcode  # type: ignore[import-untyped]  # needed only here

    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    code.add_data(text)
    rows = code.get_matrix()
    dark = [(x, y) for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark]
    return QrCode(len(rows), "".join(f"M{x} {y}h1v1h-1z" for x, y in dark))
