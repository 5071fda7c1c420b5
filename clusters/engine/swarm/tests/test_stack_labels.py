import pytest

from clusters.engine.swarm.stack_labels import STACK_LABEL, ServicePlace, locate_services


def service(name, stack=None):
    return {"ID": f"{name}-id", "Spec": {"Name": name, "Labels": {} if stack is None else {STACK_LABEL: stack}}}


def names(*services):
    return [(place.application, place.name) for place in locate_services(services)]


def test_a_stacks_service_is_called_without_the_stacks_name():
    assert locate_services([service("shop_web", "shop")]) == [ServicePlace("stack", "shop", "web")]


def test_a_lone_service_is_an_application_of_its_own_name():
    assert locate_services([service("shop_web")]) == [ServicePlace("service", "shop_web", "shop_web")]


def test_a_lone_service_does_not_change_what_a_stacks_service_is_called():
    assert names(service("shop_web", "shop"), service("web")) == [("shop", "web"), ("web", "web")]


def test_two_services_of_a_stack_never_have_one_name():
    assert names(service("shop_web", "shop"), service("web", "shop")) == [("shop", "shop_web"), ("shop", "web")]


@pytest.mark.parametrize("stack", ["", "a\nb", "x" * 300])
def test_a_label_that_cannot_be_a_name_is_ignored(stack):
    assert names(service("web", stack)) == [("web", "web")]
