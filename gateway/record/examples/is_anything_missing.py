#!/usr/bin/python3
"""Is anything missing? Straight off the broker: a hub numbers its readings 1, 2, 3 and so on.

    mosquitto_sub -t 'wellgate/v1/schema/+' -C 1 -N > wellgate.desc
    mosquitto_sub -q 1 -c -i my-team -V mqttv5 -x 604800 -F %x -t 'wellgate/v1/+/+/reading/+' \\
        -t 'wellgate/v1/+/+/test/reading/+' | ./is_anything_missing.py wellgate.desc
"""
import sys
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

pool, files = descriptor_pool.DescriptorPool(), descriptor_pb2.FileDescriptorSet()
with open(sys.argv[1], "rb") as stream:
    files.ParseFromString(stream.read())
for file in files.file:
    pool.Add(file)
Batch = message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("wellgate.v1.ReadingBatch"))
seen = {}
for line in sys.stdin:
    batch = Batch.FromString(bytes.fromhex(line))
    numbers = seen.setdefault((batch.hub, batch.epoch), set())
    numbers.update(r.sequence for r in batch.readings)
    come = sorted(numbers)  # those before the first one went by before we subscribed
    missing = [f"{low + 1}-{high - 1}" for low, high in zip(come, come[1:]) if high - low > 1]
    print(batch.hub, f"{batch.epoch:016x}", max(numbers, default=0), "missing:", *missing or ["nothing"], flush=True)
