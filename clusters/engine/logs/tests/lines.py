"""Shared by the tests of logs."""


def texts(lines):
    return [line.text for line in lines]
