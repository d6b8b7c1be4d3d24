"""`connect setup`: the whole set-up, with questions or by options."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from coursera_connect import command_text
from coursera_connect.cli import options, schedule_install, terminal
from coursera_connect.cli.questions import Questions
from coursera_connect.cli.setup_steps import STEPS, Steps
from coursera_connect.errors import ConnectError, RefusedError, UsageError
from coursera_connect.meltano import project_files
from coursera_connect.setup import next_steps
from coursera_connect.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable

_HIDDEN = {"TAP_COURSERA_CLIENT_SECRET", "CONNECT_DELIVERY", "CONNECT_DELIVERY_PASSWORD"}


@click.command(short_help="Set up an environment: all steps, with questions or by options.")
@options.together(
    schedule_install.whose,
    options.package,
    options.mapping,
    options.database,
    options.wait,
    options.logs,
    click.option("--client-id", help="Client ID of Coursera's Developer Console."),
    click.option("--client-secret-file", type=click.File(), help="File with the Secret Key, or - for standard input."),
    click.option("--org-id", help="The organisation's ID."),
    click.option("--all-programs", is_flag=True, help="Sync every program."),
    click.option(
        "--program",
        "programs",
        metavar="PROGRAM",
        multiple=True,
        help="Sync this one (id or name); others are left out.",
    ),
    click.option("--lms-sync-time", help="When the LMS syncs: a time, or several separated by commas."),
    click.option("--lms-time-zone", help="IANA time zone of the LMS."),
    click.option("--profile", help="The reader's own rules; see docs/profiles.md."),
    click.option("--to", "target", help="Where packages are delivered, or none."),
    click.option(
        "--step",
        "only",
        type=click.Choice([name for name, *_ in STEPS]),
        multiple=True,
        help="Only this step; may be given more than once.",
    ),
    click.option("--no-input", is_flag=True, help="Ask nothing: do the steps that the other options are about."),
    click.option("--save", is_flag=True, help="With --no-input: write it; without, only try and show."),
)
def setup(*, only: tuple[str, ...], no_input: bool, save: bool, **chosen: Any) -> None:
    """Set up an environment in the order in which an administrator does it; nothing is written before the end.

    It asks for the credentials and tests them, shows the programs and takes which are synced (the others are left out
    on purpose), asks when and in which time zone the LMS syncs and sets the times of the jobs before that, asks for the
    profile and for where packages go. Each step can be left out, and repeated before the end or by another call. Then
    it writes the settings, secrets and mapping of the environment, offers a first preview, and tells what is missing.

    \b
    Examples:
      connect --environment=prod setup
      connect --environment=prod setup --step programs --step delivery
      connect --environment=prod setup --no-input --save --client-id ID --client-secret-file - --org-id ORG
      connect --environment=prod setup --no-input --save --all-programs --lms-time-zone Europe/Berlin --to none

    \b
    Exit codes: 0 done; what is still missing is told
                1 the connection test did not pass, a setting is wrong, or somebody ended it
                2 an option is wrong
                3 the warehouse is in use or damaged
                4 a file cannot be written
                5 the receiver cannot be used
                7 refused: not in the sandbox
    """  # noqa: D301 - the escape is what keeps the lines apart
    steps = _begun(chosen, asks=not no_input)
    try:
        for number, (name, title, step, about) in enumerate(STEPS, 1):
            if (only and name not in only) or (
                no_input and not any(steps.questions.given.get(option) for option in about)
            ):
                continue
            _step(steps, number, title, step)
        save = save if no_input else _agreed(steps)
    except (KeyboardInterrupt, click.Abort):
        terminal.say("\nNothing is written.")
        raise
    if no_input:
        _show(steps)
    if not save:
        terminal.say("Nothing is written." + (" To write it, add --save." if no_input else ""))
        return
    steps.write()
    if not no_input and click.confirm("Load once, and preview the first package? Nothing is published", default=True):
        try:
            steps.preview()
        finally:
            _finish(steps)
        return
    _finish(steps)


def _agreed(steps: Steps) -> bool:
    """Show what would be written, and ask until the administrator agrees or gives up; steps can be repeated."""
    while True:
        _show(steps)
        answer = click.prompt(
            f"Write this? yes, no, or a number from 1 to {len(STEPS)} to do that step again",
            type=click.Choice(["yes", "no", *map(str, range(1, len(STEPS) + 1))]),
            default="yes",
            show_choices=False,
        )
        if answer in {"yes", "no"}:
            return answer == "yes"
        _, title, step, _ = STEPS[int(answer) - 1]
        _step(steps, int(answer), title, step, again=True)


def _typed(prompt: str) -> str:
    """Ask on standard output: Python asks on standard error, which Meltano holds back until the end of a line."""
    click.echo(prompt, nl=False)
    return input()


def _begun(chosen: dict[str, Any], *, asks: bool) -> Steps:
    context = click.get_current_context()
    typed = ParameterSource.COMMANDLINE
    given = {name: value for name, value in chosen.items() if context.get_parameter_source(name) is typed}
    owner = schedule_install.owner_of(chosen)
    if owner.environment == project_files.SANDBOX:
        raise RefusedError(
            "The environment sandbox is a made-up college and needs no setting up: "
            f"{command_text.printed('connect setup', project_files.PROD)} sets up yours."
        )
    if asks and not sys.stdin.isatty():
        raise UsageError(
            "This asks questions, and standard input is no terminal: use --no-input and the other options."
        )
    click.termui.visible_prompt_func = _typed
    where = {name: chosen[name] for name in ("database", "package", "mapping", "wait", "logs")}
    return Steps(project=owner.project, environment=owner.environment, questions=Questions(given, asks), **where)


def _step(steps: Steps, number: int, title: str, step: Callable[[Steps], None], *, again: bool = False) -> None:
    terminal.say(f"\nStep {number} of {len(STEPS)}: {title}")
    if steps.questions.asks and not again and not click.confirm("Do this step?", default=True):
        return
    try:
        step(steps)
    except ConnectError as error:
        if not steps.questions.asks:
            raise
        terminal.say(f"This step is left out: {error}")


def _show(steps: Steps) -> None:
    terminal.say(f"\nFor {steps.environment}:")
    for name, value in steps.answers.values.items():
        terminal.say(f"  {name} = {('(hidden)' if name in _HIDDEN else value) if value else '(as shipped)'}")
    changed, left_out = steps.answers.mapped, steps.answers.left_out
    if changed or left_out:
        terminal.say(f"  {plural(changed, 'program')} mapped, {plural(left_out, 'program')} left out")
    elif not steps.answers.values:
        terminal.say("  nothing changes")


def _finish(steps: Steps) -> None:
    missing = next_steps.missing(
        steps.project, steps.environment, steps.package, steps.mapping, steps.answers.credentials
    )
    if not missing:
        terminal.say("The set-up is finished: nothing is missing.")
        return
    terminal.say("\nStill missing:")
    for sentence, words in missing:
        terminal.say(f"  {sentence} {command_text.printed(words, steps.environment)}")
