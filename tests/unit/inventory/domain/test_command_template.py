"""Command templates: what stands in braces, and what cannot."""

import pytest

from kadeploy_inventory.domain.command_template import CommandTemplates, check_commands, parse_argument
from kadeploy_inventory.domain.problems import Problems


@pytest.mark.parametrize("text", ["-H", "{bmc}", "root@{name}", "{ip}:{mac}", "{cluster}", "{label:bmc-port}", ""])
def test_known_places_stand_anywhere_in_an_argument(text: str) -> None:
    assert parse_argument(text) == text


@pytest.mark.parametrize("text", ["{password}", "{}", "{name", "name}", "{{name}}", "{label:}", "{label:A B}", "a\nb"])
def test_any_other_brace_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_argument(text)


def test_a_problem_names_the_argument() -> None:
    problems = Problems("nodes[3].commands")
    check_commands(CommandTemplates(hard_reboot=("ipmitool", "-H", "{host}")), problems)
    assert [each.field for each in problems.found] == ["nodes[3].commands.hard_reboot.arguments[2]"]


def test_a_command_begins_with_a_program() -> None:
    problems = Problems()
    check_commands(CommandTemplates(console=("", "x")), problems)
    assert problems.found[0].field == "console.arguments[0]"


def test_a_node_s_command_names_labels_that_the_node_has() -> None:
    commands = CommandTemplates(power_on=("pdu", "{label:outlet}"))
    with_label, without_label, unknown = Problems(), Problems(), Problems()
    check_commands(commands, with_label, labels={"outlet"})
    check_commands(commands, without_label, labels=set())
    check_commands(commands, unknown)
    assert (bool(with_label), bool(without_label), bool(unknown)) == (False, True, False)
