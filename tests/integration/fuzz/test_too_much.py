"""A field that holds more than the contract allows is refused by every call of all three services, and named."""

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from kadeploy_edge import access
from kadeploy_edge.bounds import bound_of
from tests.integration.fuzz.served import Served
from tests.integration.fuzz.test_every_call import CALLS, refusal

pytestmark = pytest.mark.integration

# Below what any call takes as a whole.
SMALL = 32 * 1024
WITHOUT_SHORT_TEXTS = {
    *("CheckTree", "ReconcileTree", "ListLabels", "DeleteUnusedBootFiles"),
    *("GetPower", "GetStatistics", "InspectNodes", "RunCommand", "DeleteNodes", "ClearBootEntries", "CheckHost"),
}

CALLERS = {
    access.ADMINISTRATOR: "user:root",
    access.LOGIN_AGENT: "agent:login-1",
    access.UNPROVEN: "address:127.0.0.1",
}


def small_field(kind: Descriptor) -> list[FieldDescriptor]:
    """Returns the way to a text of a message that is soon too long; empty where there is none."""
    for field in kind.fields:
        if field.type == FieldDescriptor.TYPE_STRING and 0 < bound_of(field).bytes < SMALL:
            return [field]
        if field.message_type is not None and (way := small_field(field.message_type)):
            return [field, *way]
    return []


def spoilt(kind: Descriptor) -> tuple[Message, str]:
    """Returns a request with one text that is too long, and the path of that text."""
    request, path = GetMessageClass(kind)(), ""
    here = request
    way = small_field(kind)
    for field in way[:-1]:
        path += f"{field.name}[0]." if field.is_repeated else f"{field.name}."
        here = getattr(here, field.name).add() if field.is_repeated else getattr(here, field.name)
    last, text = way[-1], "x" * (bound_of(way[-1]).bytes + 1)
    if last.is_repeated:
        getattr(here, last.name).append(text)
    else:
        setattr(here, last.name, text)
    return request, f"{path}{last.name}{'[0]' if last.is_repeated else ''}"


@pytest.mark.parametrize(("served", "method"), CALLS, indirect=["served"])
def test_a_text_that_is_too_long_is_refused_and_named(served: Served, method: MethodDescriptor) -> None:
    if not small_field(method.input_type):
        assert method.name in WITHOUT_SHORT_TEXTS
        return
    before = served.content()
    request, path = spoilt(method.input_type)
    allowed = access.allowed_callers(f"/{method.containing_service.full_name}/{method.name}")
    caller = next((name for kind, name in CALLERS.items() if kind in allowed), "deployer")
    said = refusal(served.method(method, caller), [request], method)
    assert said is not None
    assert (said.reason, said.violations[0].field) == ("OUT_OF_BOUNDS", path)
    assert served.content() == before
