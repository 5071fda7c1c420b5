from clusters.engine.inspection.engine_setup import describe_engine_setup


def test_a_setup_is_read_and_missing_values_are_empty():
    info = {
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", "extfs"], ["odd"]],
        "SecurityOptions": ["name=seccomp,profile=default", "name=rootless"],
        "DefaultRuntime": "runc",
        "Runtimes": {"runc": {}, "crun": {}},
        "RegistryConfig": {
            "Mirrors": ["https://mirror.example/"],
            "InsecureRegistryCIDRs": ["127.0.0.0/8"],
            "IndexConfigs": {"docker.io": {"Secure": True}, "registry.example:5000": {"Secure": False}},
        },
        "Warnings": ["WARNING: No swap limit support"],
    }
    setup = describe_engine_setup(info)
    assert (setup.storage_driver, setup.file_system, setup.security) == ("overlay2", "extfs", ("seccomp", "rootless"))
    assert (setup.runtime, setup.other_runtimes) == ("runc", ("crun",))
    assert setup.insecure_registries == ("127.0.0.0/8", "registry.example:5000")
    assert setup.warnings == ("No swap limit support",)
    assert describe_engine_setup({}).warnings == ()
