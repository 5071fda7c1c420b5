"""Whether the addresses of a cluster can be used. Nothing is stored: people test an address before they save it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.failures import describe_address
from clusters.engine.errors import EngineError, EngineUnreachable
from clusters.engine.inspection.listing import EngineFacts, read_engine_facts
from clusters.waits import wait_for_engine

CHECK_TIMEOUT = 10.0  # seconds for one answer while a person waits
TESTS = "connection tests"  # share their places, since people can enter any number of addresses


@dataclass(frozen=True)
class AddressFacts:
    """One address of a cluster that has several. `problem` is a sentence that says why it cannot be used; empty if it can."""

    address: str
    swarm_role: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ConnectionFacts(EngineFacts):
    """The facts of the first engine that answers, and the result for each address of a cluster that has several."""

    addresses: tuple[AddressFacts, ...] = ()


def check_connection(endpoint: EngineEndpoint) -> ConnectionFacts:
    """Connect to every address of the endpoint now. Raises EngineError with the exact reason when no engine answers, and at
    once where too many people test addresses."""
    endpoint.validate()
    with wait_for_engine(TESTS), ThreadPoolExecutor() as pool:
        found = list(pool.map(try_address, (endpoint.at(address) for address in endpoint.addresses)))
    answers = [facts for facts in found if isinstance(facts, EngineFacts)]
    if not answers:
        raise join_errors([error for error in found if isinstance(error, EngineError)])
    swarm_id = next((facts.swarm_id for facts in answers if facts.swarm_id), "")
    places = [describe_address(address) for address in endpoint.addresses]
    addresses = tuple(judge_address(place, facts, swarm_id) for place, facts in zip(places, found, strict=True))
    return ConnectionFacts(**asdict(answers[0]), addresses=addresses if len(addresses) > 1 else ())


def try_address(endpoint: EngineEndpoint) -> EngineFacts | EngineError:
    try:
        with EngineClient(endpoint, timeout=CHECK_TIMEOUT) as client:
            return read_engine_facts(client)
    except EngineError as error:
        return error


def join_errors(errors: list[EngineError]) -> EngineError:
    return errors[0] if len(errors) == 1 else EngineUnreachable(" ".join(error.message for error in errors))


def judge_address(place: str, facts: EngineFacts | EngineError, swarm_id: str) -> AddressFacts:
    """Compare what answered at one address with the cluster's Swarm, whose id is `swarm_id`."""
    if isinstance(facts, EngineError):
        return AddressFacts(place, problem=facts.message)
    if facts.swarm_role == "worker":
        return AddressFacts(place, "worker", "It is a Swarm worker, which cannot see stacks and services.")
    if facts.swarm_role != "manager":
        return AddressFacts(place, problem="It is not part of a Swarm.")
    if facts.swarm_id != swarm_id:
        return AddressFacts(place, "manager", "It is a manager of another Swarm.")
    return AddressFacts(place, "manager")
