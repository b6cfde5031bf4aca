#!/usr/bin/env python3
"""Goals that are set while the hub runs: at its command line, and by a care team from afar with
commands that are signed. Each is there after a restart, none is carried out twice, and what nobody
known has signed does nothing."""
import base64
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time

from stand import HERE, SOURCE, Stand, wait_for


def load(name):
    spec = importlib.util.spec_from_file_location(name, os.path.join(SOURCE, "tests", "oracle", name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


signing = load("signed_command")
reading = load("read_batch")
HUB = b"hub1"
SUBJECT = "subject-under-test"


class Team:
    """somebody who may send commands, or not"""

    def __init__(self, stand, folder, name):
        self.stand = stand
        self.folder = os.path.join(folder, name)
        os.mkdir(self.folder)
        self.sender = signing.Sender(self.folder)
        self.serial = 0

    def text(self):
        return base64.b64encode(self.sender.key).decode()

    def envelope(self, command, hub=HUB, age=0):
        now = int(time.time() * 1000) - age
        self.serial += 1
        return self.sender.envelope(self.folder, hub, command.SerializeToString(), self.serial, now, now + 3600000)

    def send(self, envelope):
        path = os.path.join(self.folder, "envelope")
        with open(path, "wb") as stream:
            stream.write(envelope)
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.stand.port), "-V", "mqttv5", "-q", "1", "-t",
                        "wellgate/v1/test/hub1/command", "-f", path], check=True)


def goal_command(schema, target, version=1, metric="METRIC_STEPS"):
    command = schema.new("Command")
    command.verb = "goal"
    change = command.goal
    change.kind = 1
    goal = change.goal
    goal.goal_id = "steps-week"
    goal.title = "Walk"
    goal.version = version
    goal.metric = schema.pool.FindEnumTypeByName("wellgate.v1.Metric").values_by_name[metric].number
    goal.rule = 1
    goal.period = 2
    goal.week_start = 1
    goal.target.mantissa = target
    goal.target.exponent = 0
    return command


def replies(stand, schema):
    found = []
    for line in stand.lines():
        topic, data = line.split(" ", 1)
        if topic.endswith("/reply"):
            reply = schema.new("CommandReply")
            reply.ParseFromString(bytes.fromhex(data))
            found.append(reply)
    return found


def answer(stand, schema, n):
    wait_for(f"reply {n}", lambda: len(replies(stand, schema)) >= n)
    return replies(stand, schema)[n - 1]


def goals(stand):
    result = stand.wellgate("goals", "--json")
    assert result.returncode == 0, result.stderr
    return {g["goal_id"]: g for g in map(json.loads, result.stdout.splitlines())}


def from_afar(stand, schema, team, stranger):
    envelope = team.envelope(goal_command(schema, 20000))
    team.send(envelope)
    first = answer(stand, schema, 1)
    assert first.serial == 1 and not first.HasField("refusal") and first.reply.code == 0, first
    assert goals(stand)["steps-week"]["target"] == "20000"
    assert goals(stand)["steps-week"]["subject"] == SUBJECT
    team.send(envelope)
    assert answer(stand, schema, 2).refusal == 4, "a replay"
    stranger.send(stranger.envelope(goal_command(schema, 1)))  # not answered
    team.send(team.envelope(goal_command(schema, 1), hub=b"hub2"))
    assert answer(stand, schema, 3).refusal == 1, "of another hub"
    team.send(team.envelope(goal_command(schema, 1), age=8000000))
    assert answer(stand, schema, 4).refusal == 3, "expired"
    other = schema.new("Command")
    other.verb = "readings"
    team.send(team.envelope(other))
    assert answer(stand, schema, 5).refusal == 5, "not over a broker"
    team.send(team.envelope(goal_command(schema, 2000, metric="METRIC_ENERGY")))
    assert "can do harm" in answer(stand, schema, 6).reply.error
    assert goals(stand)["steps-week"]["target"] == "20000"


def after_restart(stand, schema, team, old):
    """A command that comes while the hub is away waits at the broker; what was done is still known."""
    stand.stop_gateway()
    team.send(old)  # first: only what is stored can say that it is old
    team.send(team.envelope(goal_command(schema, 0)))  # a goal of nothing: refused when it comes
    start(stand)
    answer(stand, schema, 8)
    assert [r.refusal for r in replies(stand, schema)[6:8]] == [4, 0], replies(stand, schema)
    assert goals(stand)["steps-week"]["target"] == "20000"


def at_the_hub(stand):
    def run(*words):
        return stand.wellgate("goal", *words)
    result = run("set", "walk", "title=Walk to the park", "metric=steps", "rule=count_days", "target=3",
                 "day_target=5000", "period=week")
    assert result.returncode == 0, result.stderr
    assert goals(stand)["walk"]["target"] == "3"
    result = run("set", "diet", "title=Eat less", "metric=energy", "rule=sum_per_period", "target=1000", "period=day")
    assert result.returncode == 65 and "can do harm" in result.stderr, result
    assert run("pause", "walk", "--to", "2099-01-01").returncode == 0
    assert run("set", "walk", "target=4").returncode == 0
    assert goals(stand)["walk"]["version"] == 2
    assert run("resume", "walk").returncode == 0
    assert run("stop", "walk").returncode == 0
    assert "walk" not in goals(stand)
    assert run("stop", "walk").returncode == 64
    assert run("pause", "nothing").returncode == 64


PLAN = {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": {"reference": "Patient/1"},
        "contained": [{"resourceType": "Goal", "id": "g", "lifecycleStatus": "active",
                       "description": {"text": "Walk more"}, "subject": {"reference": "Patient/1"},
                       "target": [{"measure": {"coding": [{"system": "http://loinc.org", "code": "41950-7"}]},
                                   "detailQuantity": {"value": 6000, "comparator": ">=", "unit": "steps/day",
                                                      "system": "http://unitsofmeasure.org", "code": "{steps}/d"}}]}],
        "goal": [{"reference": "#g"}]}


def from_a_plan(stand):
    path = os.path.join(stand.folder, "plan.json")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(PLAN, stream)
    for _ in range(2):  # the plan read again changes nothing
        result = stand.wellgate("goal", "import", path)
        assert result.returncode == 0, result.stdout + result.stderr
    assert goals(stand)["steps-day"]["target"] == "6000", goals(stand)
    assert goals(stand)["steps-day"]["version"] == 1


def start(stand):
    library = os.path.join(stand.programs, "..", "tests", "system", "libsynced.so")
    os.environ["LD_PRELOAD"] = os.path.abspath(library)
    os.environ["ASAN_OPTIONS"] = "verify_asan_link_order=0"
    stand.start_gateway()
    del os.environ["LD_PRELOAD"]
    wait_for("the gateway", lambda: stand.status() is not None)
    wait_for("the broker", lambda: stand.status()["broker_connected"])


def main():
    with tempfile.TemporaryDirectory() as folder:
        keys = os.path.join(folder, "keys")
        with Stand(sys.argv[1], f"[broker]\ncommand_keys_file = {keys}\n") as stand:
            team, stranger = Team(stand, folder, "team"), Team(stand, folder, "stranger")
            with open(keys, "w", encoding="utf-8") as stream:
                stream.write(f"# the care team\n{team.text()}\n")
            schema = reading.Schema(stand.descriptor)
            stand.start_broker()
            stand.subscribe()
            start(stand)
            at_the_hub(stand)
            from_a_plan(stand)
            old = team.envelope(goal_command(schema, 5))  # serial 1, never sent
            team.serial = 0
            from_afar(stand, schema, team, stranger)
            after_restart(stand, schema, team, old)
            at_the_hub(stand)
    print("set, changed, stopped; from afar, from a plan; none twice")


if __name__ == "__main__":
    assert HERE
    main()
