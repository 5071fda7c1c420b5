from console.pages.account.qr_code import draw_qr_code


def test_it_draws_the_three_corners_inside_a_quiet_zone():
    code = draw_qr_code("otpauth://totp/ada?secret=A")
    dark = set(code.path.split("M")[1:])
    last = code.size - 11
    for corner in ((4, 4), (last, 4), (4, last)):
        for offset in range(7):
            assert f"{corner[0] + offset} {corner[1]}h1v1h-1z" in dark
    assert not any(f"{x} {y}h1v1h-1z" in dark for x in range(code.size) for y in range(4))
