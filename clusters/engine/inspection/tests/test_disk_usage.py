from clusters.engine.inspection.disk_usage import measure_build_cache, measure_containers, measure_images, measure_volumes


def test_images_use_their_layers_and_only_the_own_layers_of_unused_images_are_reclaimable():
    images = [
        {"Containers": 1, "Size": 100, "SharedSize": 40},
        {"Containers": 0, "Size": 70, "SharedSize": 40},
        {"Containers": 0, "Size": 5, "SharedSize": -1},
    ]
    share = measure_images(images, 135)
    assert (share.count, share.used, share.size, share.reclaimable, share.at_least) == (3, 1, 135, 35, True)


def test_containers_volumes_and_build_cache_are_measured():
    containers = measure_containers([{"State": "running", "SizeRw": 3}, {"State": "exited", "SizeRw": 4}, {"State": "created"}])
    assert (containers.count, containers.used, containers.size, containers.reclaimable) == (3, 1, 7, 4)
    volumes = [{"UsageData": {"RefCount": 0, "Size": 8}}, {"UsageData": {"RefCount": 2, "Size": 1}}, {"UsageData": None}]
    assert (measure_volumes(volumes).size, measure_volumes(volumes).reclaimable) == (9, 8)
    cache = [{"InUse": True, "Size": 5}, {"InUse": False, "Size": 6}, {"Shared": True, "Size": 100}]
    assert (measure_build_cache(cache).size, measure_build_cache(cache).reclaimable) == (11, 6)
