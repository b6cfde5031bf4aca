#!/usr/bin/env python3
"""Two workers share one subscription and one PostgreSQL while the outboxes of several hubs drain. One
dies with -9 and is away for a while. Each reading is stored once, whichever worker had it, and what
each hub is told, by either of them, is what the database has: its outbox empties by receipts alone."""
import os
import sys

from stand import Stand, wait_for
from test_record import Postgres, Record, log_of

HUBS = 4
EACH = 1000
CONFIG = """[broker]
delivery = receipt
batch = 10
"""
GROUP = "workers"


def more_hubs(stand, stands):
    """Each hub is a stand of its own; the broker is that of the first."""
    for number in range(2, HUBS + 1):
        hub = Stand(stand.programs, CONFIG, stand.descriptor)
        with open(hub.config, encoding="utf-8") as stream:
            text = stream.read()
        with open(hub.config, "w", encoding="utf-8") as stream:
            stream.write(text.replace("hub = hub1", f"hub = hub{number}").replace(hub.url, stand.url))
        stands.append(hub)


def fill(stands):
    """All is in the outboxes before there is a broker."""
    for seed, hub in enumerate(stands):
        hub.start_gateway()
        hub.start_devices(hub.simulate(EACH, seed=40 + seed))
    for hub in stands:
        wait_for("the replay to end", lambda h=hub: h.devices.poll() is not None)
        assert hub.devices.returncode == 0
        hub.stop_gateway()


def start(worker, acknowledge):
    worker.start("--share", GROUP, "--acknowledge", acknowledge)


def both_live(first, _):
    wait_for("all rows", lambda: first.count() >= HUBS * EACH)


def one_dies(first, second):
    """The second dies while it has messages, and some of its share waits for it at the broker."""
    wait_for("the first rows", lambda: first.count() > HUBS * EACH // 10)
    second.kill()
    before = first.count()
    wait_for("the other worker to go on alone", lambda: first.count() > before + 50)
    before = first.count()
    assert before < HUBS * EACH, "nothing was left for the worker that was away: this shows nothing"
    start(second, "commit")
    wait_for("all rows", lambda: first.count() >= HUBS * EACH)


def check_rows(postgres):
    assert postgres.query("SELECT COUNT(*), COUNT(DISTINCT dedupe_key || hub_id) FROM reading") == [
        (str(HUBS * EACH), str(HUBS * EACH))]


def check_hubs(stands, postgres):
    rows = postgres.query("SELECT h.hub, l.watermark, l.stored, (SELECT COUNT(*) FROM reading r WHERE r.log_id ="
                          " l.log_id), l.refused FROM sequence_log l JOIN hub h ON h.hub_id = l.hub_id WHERE"
                          " l.kind = 'reading' ORDER BY h.hub")
    assert rows == [(f"hub{n}", str(EACH), str(EACH), str(EACH), "0") for n in range(1, HUBS + 1)], rows
    # a group of messages locks its hubs in one order, whichever worker has it
    assert postgres.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [("0",)]
    assert postgres.query("SELECT COUNT(*) FROM sequence_span") == [("0",)]
    assert postgres.query("SELECT COUNT(*) FROM dead_letter") == [("0",)]
    for hub in stands:
        wait_for("an outbox to be empty", hub.drained)
        status = hub.status()
        assert status["committed"] == status["readings"] == EACH, status


def check_receipts(stand):
    """Both workers told hubs, and each said at most what is there; the last word is all of it."""
    told = [m for m in stand.decoded() if "lanes" in m]
    assert {m["service"] for m in told} == {"worker-a", "worker-b"}, {m["service"] for m in told}
    for number in range(1, HUBS + 1):
        said = [lane["committed"] for m in told if m["hub"] == f"hub{number}" for lane in m["lanes"]
                if lane["kind"] == "readings"]
        assert max(said) == EACH, (number, max(said))
    return len(told)


def run(stand, stands, workers, postgres, form):
    acknowledge, work = form
    more_hubs(stand, stands)
    fill(stands)
    stand.start_broker()
    stand.subscribe()
    for worker in workers:
        start(worker, acknowledge)
    # what comes before anybody has subscribed goes to nobody, and hubs wait a minute before they ask again
    wait_for("both workers", lambda: log_of(stand).count("connected to the broker filters") >= len(workers))
    for hub in stands:
        hub.start_gateway()
    work(*workers)
    check_rows(postgres)
    check_hubs(stands, postgres)
    n = check_receipts(stand)
    for worker in workers:
        worker.stop()
    print(f"{HUBS} hubs, {HUBS * EACH} readings, two workers, acknowledge = {acknowledge}: each once; {n} receipts")


FORMS = (("commit", one_dies), ("receipt", both_live))


def campaign(form):
    with Stand(sys.argv[1], CONFIG) as stand:
        stands = [stand]
        postgres = Postgres(stand.folder)
        workers = [Record(stand, name, postgres.url, postgres.query) for name in ("worker-a", "worker-b")]
        try:
            run(stand, stands, workers, postgres, form)
        finally:
            for worker in workers:
                if worker.process and worker.process.poll() is None:
                    worker.kill()
            postgres.stop("immediate")
            failed = sys.exc_info()[0]
            for hub in stands[1:]:
                hub.__exit__(failed, None, None)


if __name__ == "__main__":
    assert os.path.exists(sys.argv[1])
    for each in FORMS:
        campaign(each)
