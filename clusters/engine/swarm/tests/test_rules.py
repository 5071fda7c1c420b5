from clusters.engine.swarm.rules import read_limits
from clusters.engine.tests.swarm_recording import MONITOR, look, service


def test_the_label_for_the_monitor_period_comes_before_swarms_own():
    def monitor(labels, config):
        return read_limits(look(service(labels=labels, update_config=config)).service).monitor

    assert monitor({}, {"Monitor": MONITOR}) == 2.0
    assert monitor({}, {"Monitor": 0}) == 5.0
    assert monitor({"windlass.update.monitor": "1m"}, {"Monitor": MONITOR}) == 60.0
    assert monitor({"windlass.update.monitor": "soon"}, {"Monitor": MONITOR}) == 2.0


def test_a_rollback_is_watched_as_long_as_swarms_own():
    def monitor(labels, config):
        details = service(labels=labels, update_config={"Monitor": 9 * 10**9})
        details["Spec"] |= {"RollbackConfig": config} if config else {}
        return read_limits(look(details).service).of_rollback.monitor

    assert monitor({}, {"Monitor": MONITOR}) == 2.0
    assert monitor({}, None) == 5.0
    assert monitor({"windlass.update.monitor": "1m"}, {"Monitor": MONITOR}) == 60.0


def test_the_time_that_a_services_own_settings_take_is_not_silence():
    details = service(update_config={"Delay": 20 * 10**9})
    container = details["Spec"]["TaskTemplate"]["ContainerSpec"]
    container["StopGracePeriod"] = 30 * 10**9
    container["Healthcheck"] = {"Interval": 10**9, "Timeout": 10**9, "Retries": 4, "StartPeriod": 40 * 10**9}
    assert read_limits(look(details).service).silent == 300 + 20 + 30 + 40 + 5 * 2


def test_the_timeout_label_replaces_both_limits():
    limits = read_limits(look(service(labels={"windlass.update.timeout": "2m"})).service)
    assert (limits.unplaced, limits.silent) == (120.0, 120.0)
    assert limits.of_rollback.silent == 120.0
    hasty = read_limits(look(service(labels={"windlass.update.timeout": "3s"})).service)
    assert (hasty.unplaced, hasty.of_rollback.silent) == (3.0, 120.0)  # Swarm itself can take a minute for its rollback
