#!/usr/bin/env python3
"""What was sent and acknowledged goes out once more, under its own numbers: asked for at the command
line, and from afar with a signed command. Diagnostics come the same way and hold nothing of a person;
what cannot be done is refused with its reason."""
import json
import os
import sys
import tempfile

from stand import Stand, wait_for
from test_signed_goals import SUBJECT, Team, answer, reading, start

READINGS = 300
CONFIG = """[broker]
command_keys_file = {keys}
batch = 10
"""


class Hub(Stand):
    """Hears what the hub says, not what is said to it."""

    def lines(self):
        return [line for line in super().lines() if "/command " not in line]


def times_sent(stand):
    """How often each number of a reading came, and that it was the same one each time."""
    numbers, ids = {}, {}
    for one in stand.readings():
        number = one["sequence"]
        numbers[number] = numbers.get(number, 0) + 1
        assert ids.setdefault(number, one["reading_id"]) == one["reading_id"], number
    return numbers


def twice(stand):
    return sorted(number for number, times in times_sent(stand).items() if times > 1)


def command(schema, verb, first=None, last=None, kind=1):
    made = schema.new("Command")
    made.verb = verb
    if first is not None:
        made.range.kind, made.range.first, made.range.last = kind, first, last
    return made


def at_the_hub(stand):
    result = stand.wellgate("resend", "readings", "11", "60", "--json")
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert (said["rows"], said["gone"]) == (50, 0), said
    wait_for("the rows again", lambda: twice(stand) == list(range(11, 61)))
    assert stand.wellgate("resend", "readings", str(READINGS + 1), "999").returncode == 64
    assert stand.wellgate("resend", "steps", "1", "2").returncode == 64
    result = stand.wellgate("diagnostics", "--json")
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["queues"][0]["last"] == READINGS and said["counters"]["puback_0x00"] > 0, said
    assert stand.wellgate("diagnostics").returncode == 0


def from_afar(stand, schema, team):
    team.send(team.envelope(command(schema, "resend", 201, 220)))
    reply = answer(stand, schema, 1).reply
    assert reply.code == 0 and reply.resent.rows == 20 and reply.resent.gone == 0, reply
    wait_for("the rows again", lambda: twice(stand) == list(range(11, 61)) + list(range(201, 221)))
    team.send(team.envelope(command(schema, "diagnostics")))
    got = answer(stand, schema, 2)
    assert got.reply.diagnostics.queues[0].last == READINGS, got
    assert SUBJECT.encode() not in got.SerializeToString()
    assert len(got.SerializeToString()) < 8192
    team.send(team.envelope(command(schema, "redecode", 1, 2)))
    assert "no raw bytes" in answer(stand, schema, 3).reply.error
    team.send(team.envelope(command(schema, "resend", READINGS + 1, READINGS + 1)))
    assert str(READINGS) in answer(stand, schema, 4).reply.error


def main():
    with tempfile.TemporaryDirectory() as folder:
        keys = os.path.join(folder, "keys")
        with Hub(sys.argv[1], CONFIG.format(keys=keys)) as stand:
            team = Team(stand, folder, "team")
            with open(keys, "w", encoding="utf-8") as stream:
                stream.write(team.text() + "\n")
            stand.start_broker()
            stand.subscribe()
            start(stand)
            stand.start_devices(stand.simulate(READINGS, seed=7))
            wait_for("all readings", lambda: len(times_sent(stand)) == READINGS)
            wait_for("the outbox to be empty", stand.drained)
            assert not twice(stand)
            at_the_hub(stand)
            from_afar(stand, reading.Schema(stand.descriptor), team)
            assert len(times_sent(stand)) == READINGS
    print(f"{READINGS} readings, 70 of them once more under their own numbers; diagnostics without a person")


if __name__ == "__main__":
    main()
