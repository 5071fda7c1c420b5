from clusters.engine.connection.system_requests import read_json_lines


def test_json_lines_are_read_up_to_a_limit():
    assert read_json_lines([b'{"a": 1}\n{"b"', b": 2}\n\n"], 1000) == [{"a": 1}, {"b": 2}]
    assert read_json_lines(iter([b'{"a": 1}\n'] * 100), 20) == [{"a": 1}, {"a": 1}]
