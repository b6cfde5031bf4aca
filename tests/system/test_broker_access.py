#!/usr/bin/env python3
"""The broker of gateway/dist/brokers, with exactly those files: a hub writes its own topics and nobody
else's and reads what is for it; nobody writes as a hub; the data team reads and cannot write; without
a good certificate nobody comes in; and wellgated, wellgate-record and wellgate tail work through it,
across a restart of the broker while the record service is away."""
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys

from stand import SOURCE, Stand, free_port, wait_for

DIST = os.path.join(SOURCE, "gateway", "dist", "brokers")
COUNT = 200
OWN = ["reading/bp", "goal", "correction", "status", "reply", "test/reading/bp", "test/goal", "test/correction"]
TO_HUB = ["receipt", "command"]
ME, OTHER = "wellgate/v1/test/hub1/", "wellgate/v1/test/hub2/"


class Broker(Stand):
    """A stand whose broker is the one that is shipped; only paths and ports are its own."""

    def __init__(self, programs):
        super().__init__(programs)
        self.certificates = os.path.join(self.folder, "certificates")
        self.doors = {"hub": free_port(), "service": free_port()}
        self.sign("begin", "localhost")
        for hub in ("hub1", "hub2"):
            self.sign("hub", "test", hub)
        self.sign("hub", "elsewhere", "hub1")
        for name in ("record", "data-team", "nobody"):
            self.sign("service", name)
        with open(self.config, encoding="utf-8") as stream:
            text = stream.read()
        url = f"url = {self.url}\n"
        assert url in text
        with open(self.config, "w", encoding="utf-8") as stream:
            stream.write(text.replace(url, f"url = mqtts://localhost:{self.doors['hub']}\ndelivery = receipt\n"
                                      + self.identity("hub-test-hub1")))

    def identity(self, name):
        return "".join(f"{key} = {self.certificates}/{file}\n" for key, file in (
            ("ca_file", "services-ca.pem"), ("cert_file", name + ".pem"), ("key_file", name + ".key")))

    def sign(self, *arguments):
        subprocess.run([os.path.join(DIST, "certificates"), self.certificates, *arguments], check=True)

    def start_broker(self, max_inflight=None):
        with open(os.path.join(DIST, "mosquitto.conf"), encoding="utf-8") as stream:
            text = stream.read()
        for name in ("hubs.acl", "services.acl"):
            shutil.copy(os.path.join(DIST, name), self.certificates)
        for ours, theirs in (("/etc/mosquitto/wellgate", self.certificates), ("/var/lib/mosquitto", self.folder),
                             ("listener 8883", f"listener {self.doors['hub']} 127.0.0.1"),
                             ("listener 8884", f"listener {self.doors['service']} 127.0.0.1")):
            assert ours in text, ours
            text = text.replace(ours, theirs)
        conf = os.path.join(self.folder, "mosquitto.conf")
        with open(conf, "w", encoding="utf-8") as stream:
            stream.write(text + ("user root\n" if os.geteuid() == 0 else ""))
        self.broker = self.spawn("/usr/sbin/mosquitto", "-c", conf)
        for port in self.doors.values():
            wait_for("the broker to listen", lambda p=port: self.is_open(p))

    @staticmethod
    def is_open(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def client(self, program, who, *arguments, door=None, certificate=True):
        """mosquitto_pub or _sub as the owner of a certificate"""
        door = door or who.split("-", 1)[0]
        command = [f"/usr/bin/mosquitto_{program}", "-h", "localhost", "-p", str(self.doors[door]), "-V", "mqttv5",
                   "-q", "1", "--cafile", os.path.join(self.certificates, "services-ca.pem"), *arguments]
        if certificate:
            command += ["--cert", f"{self.certificates}/{who}.pem", "--key", f"{self.certificates}/{who}.key"]
        return command

    def publish(self, who, topic, *more, text=None, **how):
        """What the broker does with it is not asked: who reads will see."""
        return subprocess.run(self.client("pub", who, "-t", topic, "-m", text or who, *more, **how), check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


class Reader:
    """Everything that a client is given, whatever it asks for."""

    def __init__(self, stand, who):
        self.stand, self.path = stand, os.path.join(stand.folder, f"read-by-{who}")
        self.process = stand.spawn(
            "stdbuf", "-oL", *stand.client("sub", who, "-t", "wellgate/v1/#", "-t", "$SYS/broker/version", "-t", "wellgate/v1/+/+/command",
                          "-d", "-F", "GOT %t %p"), stdout=open(self.path, "wb"))
        wait_for(f"{who} to subscribe", lambda: "Subscribed" in self.text())

    def text(self):
        with open(self.path, encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def got(self):
        text = self.text()
        return {tuple(line.split(" ")[1:]) for line in text[:text.rfind("\n") + 1].splitlines()
                if line.startswith("GOT ")}

    def end(self, marker):
        """What came before the marker; the broker keeps the order of messages that it took."""
        wait_for("the marker", lambda: any(got[0] == marker for got in self.got()))
        self.process.kill()
        self.process.wait()
        return {got for got in self.got() if got[0] != marker}


def doors(stand):
    """Who comes in at all. A stranger's certificate names a hub, and is signed by somebody else."""
    strange = os.path.join(stand.certificates, "hub-stranger")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    strange + ".key", "-out", strange + ".pem", "-subj", r"/CN=test\/hub1"], check=True, capture_output=True)
    assert stand.publish("hub-test-hub1", ME + "goal") == 0
    assert stand.publish("service-record", ME + "receipt") == 0
    assert stand.publish("hub-test-hub1", ME + "goal", certificate=False) != 0, "came in without a certificate"
    assert stand.publish("hub-stranger", ME + "goal") != 0, "came in with a stranger's certificate"
    assert stand.publish("hub-test-hub1", ME + "goal", door="service") != 0, "a hub came in as a service"
    assert stand.publish("service-record", ME + "goal", door="hub") != 0, "a service came in as a hub"


def writing(stand):
    """Each tries to write everything; what arrives is what each may write."""
    witness, audience = Reader(stand, "service-record"), Reader(stand, "service-data-team")
    topics = [base + end for base in (ME, OTHER, "wellgate/v1/elsewhere/hub1/") for end in OWN + TO_HUB]
    topics += ["wellgate/v1/schema/0123456789abcdef", "wellgate/v1/test/hub1/test/other", "wellgate/v1/hub1/status"]
    writers = ["hub-test-hub1", "service-data-team", "service-nobody", "service-record"]
    for who in writers:
        for topic in topics:
            stand.publish(who, topic)
    stand.publish("hub-elsewhere-hub1", "wellgate/v1/elsewhere/hub1/status")  # the marker
    expected = {(ME + end, "hub-test-hub1") for end in OWN} | {(topics[-3], "hub-test-hub1")}
    expected |= {(base + end, "service-record") for base in (ME, OTHER, "wellgate/v1/elsewhere/hub1/") for end in TO_HUB}
    marker = "wellgate/v1/elsewhere/hub1/status"
    got = witness.end(marker)
    assert got == expected, (got - expected, expected - got)
    got = audience.end(marker)
    expected = {(topic, who) for topic, who in expected if topic.rsplit("/", 1)[1] not in ("command", "reply")}
    assert got == expected, (got - expected, expected - got)
    return len(topics) * len(writers)


def reading(stand):
    """A hub is given what is for it, and another one cannot take its place."""
    hub, nobody = Reader(stand, "hub-test-hub1"), Reader(stand, "service-nobody")
    for end in OWN:
        stand.publish("hub-test-hub2", OTHER + end, "-i", "test/hub1")
    for end in TO_HUB:
        for base in (OTHER, "wellgate/v1/elsewhere/hub1/", ME):
            stand.publish("service-record", base + end)
    stand.publish("service-record", ME + "receipt", text="last")
    wait_for("the last one", lambda: (ME + "receipt", "last") in hub.got())
    assert hub.process.poll() is None and nobody.process.poll() is None
    assert hub.got() == {(ME + "command", "service-record"), (ME + "receipt", "service-record"),
                         (ME + "receipt", "last")}, hub.got()
    assert hub.text().count("CONNACK") == 1, "another hub threw this one out"
    assert not nobody.got(), nobody.got()
    for reader in (hub, nobody):
        reader.process.kill()
        reader.process.wait()


def revoked(stand):
    """A hub that was lost comes in no more, and the broker need not stop for that."""
    stand.sign("revoke", os.path.join(stand.certificates, "hub-test-hub2.pem"))
    stand.broker.send_signal(signal.SIGHUP)
    wait_for("the hub to be refused", lambda: stand.publish("hub-test-hub2", OTHER + "goal") != 0)
    assert stand.publish("hub-elsewhere-hub1", "wellgate/v1/elsewhere/hub1/status") == 0


def rows(path):
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            return connection.execute("SELECT COUNT(*), COUNT(DISTINCT sequence), MAX(sequence) FROM reading").fetchone()
    except sqlite3.OperationalError:
        return 0, 0, 0


def record_service(stand, path):
    conf = os.path.join(stand.folder, "record.conf")
    with open(conf, "w", encoding="utf-8") as stream:
        stream.write(f"[record]\ndatabase = sqlite:{path}\n[broker]\nurl = mqtts://localhost:{stand.doors['service']}\n"
                     + stand.identity("service-record"))
    process = stand.spawn(stand.path("wellgate-record"), "--config", conf)
    wait_for("the record service to be there", lambda: os.path.exists(path))
    return process


def connections(stand):
    with open(stand.logs.name, encoding="utf-8", errors="replace") as stream:
        return stream.read().count("connected to the broker filters")


def end(process):
    process.terminate()
    assert process.wait() == 0


def programs(stand):
    path = os.path.join(stand.folder, "record.db")
    record = record_service(stand, path)
    try:
        wait_for("it to subscribe", lambda: connections(stand) == 1)
        end(record)  # what comes now waits for it, and outlives the broker
        tail = begin_tail(stand)
        stand.start_gateway()
        stand.start_devices(stand.simulate(COUNT, seed=9))
        assert tail.wait() == 0
        with open(os.path.join(stand.folder, "tail"), encoding="utf-8") as stream:
            assert stream.read().count('"metric"') >= COUNT
        assert stand.status()["waiting"] > 0, "nobody has committed anything yet"
        stand.stop_broker()
        stand.start_broker()
        record = record_service(stand, path)
        wait_for("all rows", lambda: rows(path) == (COUNT, COUNT, COUNT))
        wait_for("the receipts", stand.drained)
    finally:
        record.kill()
        record.wait()


def begin_tail(stand):
    """wellgate tail of the data team; it has subscribed when it shows what was retained before."""
    base, path = os.path.join(stand.certificates, "service-data-team"), os.path.join(stand.folder, "tail")
    stand.publish("hub-elsewhere-hub1", "wellgate/v1/elsewhere/hub1/status", "-r", text="\n\4hub1")
    process = stand.spawn(stand.path("wellgate"), "tail", "--broker", f"mqtts://localhost:{stand.doors['service']}",
                          "--format", "json", "--count", str(COUNT), "--cert", base + ".pem", "--key", base + ".key",
                          "--ca", os.path.join(stand.certificates, "services-ca.pem"), stdout=open(path, "wb"))
    wait_for("the tail to subscribe", lambda: b"elsewhere" in open(path, "rb").read())
    return process


def main():
    with Broker(sys.argv[1]) as stand:
        stand.start_broker()
        doors(stand)
        tried = writing(stand)
        reading(stand)
        revoked(stand)
        programs(stand)
    print(f"{tried} attempts to write: only what each may; {COUNT} readings through it into the record service")


if __name__ == "__main__":
    main()
