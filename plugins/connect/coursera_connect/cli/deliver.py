"""`connect deliver`, and the options of a receiver, which other commands share."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from coursera_connect.cli import options, screen, terminal
from coursera_connect.deliver import delivery
from coursera_connect.publish import redelivery
from coursera_connect.schedule.allowed_days import within_consent

receiver_options = options.together(
    options.outward(
        "--to",
        "target",
        env="CONNECT_DELIVERY",
        default="",
        help="Where to: a folder, sftp://user@host:port/path/ or an object store such as s3://bucket/path/. "
        "A name that ends in .zip is the file's.",
    ),
    options.setting(
        "--known-hosts",
        env="CONNECT_DELIVERY_KNOWN_HOSTS",
        default="~/.ssh/known_hosts",
        help="SFTP: file with the host keys that are accepted.",
    ),
    options.setting(
        "--host-key",
        env="CONNECT_DELIVERY_HOST_KEY",
        help="SFTP: the one host key that is accepted, a line of ssh-keyscan; outranks --known-hosts.",
    ),
    options.setting("--key-file", env="CONNECT_DELIVERY_KEY_FILE", help="SFTP: private key to log in with."),
    options.setting(
        "--passphrase", env="CONNECT_DELIVERY_PASSPHRASE", help="SFTP: of the key file. Better in the environment."
    ),
    options.setting("--password", env="CONNECT_DELIVERY_PASSWORD", help="SFTP: password. Better in the environment."),
    options.setting(
        "--driver-options",
        env="CONNECT_DELIVERY_OPTIONS",
        help="Object store: options of its fsspec driver as a JSON object, keys and endpoint for instance.",
    ),
    options.setting(
        "--rename",
        env="CONNECT_DELIVERY_RENAME",
        type=click.Choice(["on", "off"]),
        default="on",
        help="Folder and SFTP: off writes the package at once under its own name, where nothing can be renamed.",
    ),
    options.setting(
        "--temporary-suffix",
        env="CONNECT_DELIVERY_TEMPORARY_SUFFIX",
        default="",
        help="Folder and SFTP: what the temporary name ends with, as .part, where none may begin with a dot.",
    ),
)
"""Give the parameters `target` and those that `receiver_of` takes."""


def receiver_of(chosen: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Take the values of `receiver_options` out of a command's parameters: the target and the options for it.

    Raises:
        DeliveryError: The target, if there is one, is no address, or an option is wrong.
    """
    target = chosen.pop("target")
    names = (*delivery.SSH, "rename", "temporary_suffix", "driver_options")
    return target, delivery.options_for(target, {name: chosen.pop(name) for name in names})


@click.command(short_help="Deliver the published package again, or test the receiver.")
@click.argument("what", type=click.Choice(["test"]), required=False)
@options.together(options.package, options.wait, receiver_options, options.lms_time_zone, options.consent_until)
@options.setting(
    "--attempts",
    env="CONNECT_DELIVERY_ATTEMPTS",
    type=click.IntRange(min=1),
    default=4,
    help="How often to try when the line breaks.",
)
@options.json_flag
def deliver(what: str | None, as_json: bool, **chosen: Any) -> None:
    """Deliver the package of the last publish again, or with the word `test` only try the receiver.

    \b
    connect deliver test --to sftp://college@sftp.example.org/incoming/
    connect deliver

    The receiver keeps the old file or gets the new one, never a part: the package grows under a temporary name, is read
    back, and is renamed; a broken transfer is continued. What is there already is not sent again. `test` writes,
    replaces, reads and removes a tiny file with a name of its own.

    \b
    Exit codes: 0 delivered (or there already); the receiver can be used
                2 an option is wrong
                4 a publish of the package is running
                5 not delivered; the sentence says why and what to do
                7 not allowed: the consent has ended
    """  # noqa: D301 - the escape is what keeps the lines apart
    target, driver = receiver_of(chosen)
    until, zone = chosen.pop("consent_until"), chosen.pop("lms_time_zone")
    if what == "test":
        _test(target, driver, chosen["package"].name, as_json=as_json)
        return
    within_consent(until, zone)
    with screen.progress("bytes") as step:
        done = redelivery.deliver(options=driver, target=target, step=step, **chosen)
    if as_json:
        click.echo(json.dumps(asdict(done)))
    elif done.already_there:
        terminal.say(f"{done.target_shown} is the package already ({done.bytes:,} bytes).")
    else:
        again = f", {done.resumed_bytes:,} of them by an earlier attempt" if done.resumed_bytes else ""
        terminal.say(f"{done.target_shown}: delivered {done.bytes:,} bytes{again}.")


def _test(target: str, driver: dict[str, Any], name: str, *, as_json: bool) -> None:
    worked = []
    for sentence in delivery.probe(target, driver, name):
        worked.append(sentence)
        if not as_json:
            terminal.say(f"OK  {sentence}")
    if as_json:
        click.echo(json.dumps({"worked": worked}))
