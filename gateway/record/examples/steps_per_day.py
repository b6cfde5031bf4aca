#!/usr/bin/python3
"""Steps per day, straight off the broker: needs mosquitto_sub and python3-protobuf, nothing of ours.

    mosquitto_sub -t 'wellgate/v1/schema/+' -C 1 -N > wellgate.desc
    mosquitto_sub -q 1 -c -i my-team -V mqttv5 -x 604800 -F %x -t 'wellgate/v1/+/+/reading/activity' |
        ./steps_per_day.py wellgate.desc
"""
import collections
import datetime
import sys
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

pool, files = descriptor_pool.DescriptorPool(), descriptor_pb2.FileDescriptorSet()
with open(sys.argv[1], "rb") as stream:
    files.ParseFromString(stream.read())
for file in files.file:
    pool.Add(file)
Batch = message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("wellgate.v1.ReadingBatch"))
STEPS = pool.FindEnumTypeByName("wellgate.v1.Metric").values_by_name["METRIC_STEPS"].number
seen, days = set(), collections.Counter()
for line in sys.stdin:
    batch = Batch.FromString(bytes.fromhex(line))
    for r in batch.readings:  # the broker may send a message again: (hub, epoch, sequence) tells
        if (batch.hub, batch.epoch, r.sequence) in seen or not r.HasField("measured_at_ms"):
            continue
        seen.add((batch.hub, batch.epoch, r.sequence))
        day = datetime.datetime.utcfromtimestamp(r.measured_at_ms / 1000 + r.utc_offset_min * 60).date()
        days[r.subject, str(day)] += sum(int(c.value.mantissa * 10 ** c.value.exponent)
                                         for c in r.components if c.metric == STEPS)
        print(r.subject, day, days[r.subject, str(day)], flush=True)
