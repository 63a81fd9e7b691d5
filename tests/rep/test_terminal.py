"""What the rep's program shows to a person: on a small screen, in their own time, on one look."""

import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from chalicelib.durations import DAY, LINK_LIFETIME, RETURN_PATIENCE
from chalicelib.models import Status
from cli import output
from tests.rep.program import HEADER, Run, add, is_one_sentence, row
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

memory_only = pytest.mark.parametrize("world", ["memory"], indirect=True)
pytestmark = memory_only

REDIRECT = "https://acme.analytics.example/admin/settings/activities/"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns."""
    small = Console(
        highlight=False, soft_wrap=True, force_terminal=True, width=80, color_system=None
    )
    monkeypatch.setattr(output, "console", small)


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


def rejected(world: World) -> None:
    world.pass_until_due()
    world.goto.script = [refusal(401, "invalid_client")] * 2
    world.tick()


def ended(world: World) -> None:
    world.pass_until_due()
    world.tick_refused(refusal(400, "invalid_grant"))


def pressed_in_vain(world: World) -> None:
    world.start(world.browser(world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]))
    world.clock.pass_(RETURN_PATIENCE)


@pytest.mark.parametrize("state", [None, pressed_in_vain, "connected", ended, rejected])
def test_a_tenant_fits_a_screen_of_80_by_24_state_and_next_action_first(
    world: World, run: Run, terminal: None, state: object
) -> None:
    link = world.add_tenant()
    if state in ("connected", ended, rejected):
        world.connect(link)
    if callable(state):
        state(world)
    told = run("tenant", "show", "acme", "--json").json
    lines = run("tenant", "show", "acme").out.splitlines()
    assert len(lines) <= 23, "a prompt follows"
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"acme: {told['state']}. ")
    [following] = [place for place, line in enumerate(lines) if line.startswith("Next ")]
    assert following <= 2
    assert told["next_action"].split()[0] in lines[following]


def test_a_redirect_uri_is_never_folded(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever copies it, or pipes it on, gets it whole."""
    monkeypatch.setenv("COLUMNS", "30")
    outputs = [add(run).out, run("tenant", "show", "acme").out]
    assert [REDIRECT in output.split() for output in outputs] == [True, True]


def test_times_are_local_and_their_zone_is_named_once(
    world: World, run: Run, far_away: None
) -> None:
    world.connect(world.add_tenant())
    out = run("tenant", "show", "acme").out
    assert "valid until 2027-01-15 04:00" in out  # 09:00 UTC
    assert out.count("EST (UTC-05:00)") == 1


def test_references_are_short(world: World, run: Run) -> None:
    world.connect(world.add_tenant())
    assert output.reference("8f1e4d0a-9c8e-1f2e-3d4c-5b6a7f8e9d0c") == "8f1e4d0a"
    assert output.reference("ABCDE-FGHJK") == "ABCDE-FGHJK"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("statsu", "ha-goto status"),
        ("tennant", "ha-goto tenant"),
        ("tenant shwo acme", "ha-goto tenant show"),
        ("status --wacth", "ha-goto status --watch"),
        ("--vresion", "ha-goto --version"),
        ("link snd acme", "ha-goto link send"),
        (
            "tenant add acme --email a@b.example",
            "ha-goto tenant add --also-email or ha-goto tenant add --admin-email",
        ),
    ],
)
def test_a_slip_of_the_keyboard_is_answered_with_what_was_meant(
    run: Run, typed: str, meant: str
) -> None:
    ran = run(*typed.split())
    is_one_sentence(ran, 2)
    assert f"Did you mean: {meant}?" in ran.err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("retry --ended-since 14:00", "ha-goto retry does not take that value of --ended-since."),
        ("--stage main status", "Options come after the command."),
        ("tenant remove --name acme", "ha-goto tenant remove does not take what was typed"),
    ],
)
def test_a_misuse_says_where_it_is(run: Run, typed: str, words: str) -> None:
    """And never the name of an argument, as if it could be typed."""
    ran = run(*typed.split())
    is_one_sentence(ran, 2)
    assert words in ran.err


def test_s20_what_was_typed_is_never_repeated(run: Run) -> None:
    for arguments in (["canary-secret"], ["tenant", "canary-secret"], ["--canary-secret"]):
        ran = run(*arguments)
        is_one_sentence(ran, 2)
        assert "canary" not in ran.out + ran.err


def test_version_and_short_help(run: Run) -> None:
    assert run("--version").out.startswith("ha-goto ")
    assert "Onboard a customer" in run("-h").out
    listed = run("tenant", "list", "-h").out
    assert all(state in listed for state in Status if state is not Status.CONNECTED)


@pytest.mark.parametrize("text", ["cme", "ACME L", "admin@acme", "id-ac", "customer"])
def test_tenants_are_found_by_a_part_of_what_is_known(world: World, run: Run, text: str) -> None:
    world.connect(world.add_tenant())
    world.add_tenant("other")
    world.rep("tenant_change", tenant="acme", display_name="Acme Ltd, customer")
    assert [each["tenant"] for each in run("tenant", "find", text, "--json").json["tenants"]] == [
        "acme"
    ]


def test_a_tenant_is_found_by_a_reference_number(world: World, run: Run) -> None:
    world.connect(world.add_tenant())
    world.add_tenant("other")
    reference = world.journal.newest("acme", 1)[0].reference or ""
    for text in (reference, reference.lower(), reference[:7]):
        assert "acme" in run("tenant", "find", text).out
    assert run("tenant", "find", "ZZZZZ-ZZZZZ").out.strip() == "No tenants."


def test_a_link_says_until_when_it_works_beside_the_link(world: World, run: Run) -> None:
    world.add_tenant()
    ran = run("link", "show", "acme")
    assert ran.out.strip().startswith("https://")
    assert len(ran.out.split()) == 1
    assert output.moment(world.clock.now + LINK_LIFETIME) in ran.err
    assert "works once" in run("intake", "show", "acme").err


def test_one_is_one_and_two_are_two(run: Run, tmp_path: object) -> None:
    assert [output.number(1, "tenant"), output.number(2, "tenant")] == ["1 tenant", "2 tenants"]


def test_an_import_of_one_asks_for_one(run: Run, tmp_path: object) -> None:
    file = f"{tmp_path}/tenants.csv"
    with open(file, "w") as written:  # noqa: PTH123 - a short one
        written.write(HEADER + row(1))
    assert "Import 1 tenant?" in run("import", file).err


def test_status_is_shown_again_until_ctrl_c(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", pause)
    ran = run("status", "--watch")
    assert (ran.code, pauses, ran.out.count("Last tick")) == (130, [10] * 3, 3)


def test_who_needs_a_person_is_listed_with_how_long(world: World, run: Run) -> None:
    world.connect(world.add_tenant())
    ended(world)
    for entry in reversed(world.journal.newest("acme", 100)):
        world.fleet_counts.note(entry)
    world.clock.pass_(3 * DAY)
    assert "3 days" in run("status").out
