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
HARD_RANGE = pool.FindEnumTypeByName("wellgate.v1.Flag").values_by_name["FLAG_HARD_RANGE"].number
days = collections.defaultdict(dict)
for line in sys.stdin:
    for r in Batch.FromString(bytes.fromhex(line)).readings:
        if r.metric != STEPS or HARD_RANGE in r.flags or not r.HasField("measured_at_ms"):
            continue
        day = datetime.datetime.utcfromtimestamp(r.measured_at_ms / 1000 + r.utc_offset_min * 60).date()
        of_day = days[r.subject, str(day), r.device.serial_digest.hex() or r.device.driver]
        # what comes again, or has grown since, begins at the same moment: it is counted once
        of_day[r.measured_at_ms] = max(of_day.get(r.measured_at_ms, 0), *(
            int(c.value.mantissa * 10 ** c.value.exponent) for c in r.components if c.metric == STEPS), 0)
        print(r.subject, day, sum(of_day.values()), flush=True)
