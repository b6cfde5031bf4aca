#!/usr/bin/env python3
"""wellgate-record and a broker that asks for certificates: the service comes in with its own, and does
not believe a broker of another name or of an authority that it was not told of."""
import os
import subprocess
import sys

from stand import Stand, wait_for
from test_record import Record, log_of, sqlite_query

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
STATUS = b"\x0a\x04hub1\x11" + bytes(8) + b"\x18\x01"


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def certificates(folder):
    for authority in ("ca", "other"):
        openssl(folder, "req", "-x509", *CURVE, "-keyout", authority + ".key", "-out", authority + ".pem",
                "-days", "2", "-subj", "/CN=" + authority)
    for name in ("localhost", "record"):
        openssl(folder, "req", *CURVE, "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
        openssl(folder, "x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", name + ".pem", "-days", "2")


def start_broker(stand):
    conf = os.path.join(stand.folder, "tls.conf")
    with open(conf, "w", encoding="utf-8") as stream:
        stream.write(f"listener {stand.port} 127.0.0.1\nallow_anonymous true\nrequire_certificate true\n"
                     f"cafile {stand.folder}/ca.pem\ncertfile {stand.folder}/localhost.pem\n"
                     f"keyfile {stand.folder}/localhost.key\n" + ("user root\n" if os.geteuid() == 0 else ""))
    stand.broker = stand.spawn("/usr/sbin/mosquitto", "-c", conf)
    wait_for("the broker to listen", stand._listens)


def identity(stand, ca="ca", own="record"):
    options = ["--ca", f"{stand.folder}/{ca}.pem"]
    return options + (["--cert", f"{stand.folder}/{own}.pem", "--key", f"{stand.folder}/{own}.key"] if own else [])


def in_vain(stand, record, *options):
    before = log_of(stand).count("no connection to the broker")
    record.start(*options)
    wait_for("a refusal", lambda: log_of(stand).count("no connection to the broker") > before)
    record.stop()
    assert "connected to the broker filters" not in log_of(stand), options


def run(stand, record):
    there, elsewhere = (f"mqtts://{name}:{stand.port}" for name in ("localhost", "127.0.0.1"))
    in_vain(stand, record, "--broker", elsewhere, *identity(stand))
    in_vain(stand, record, "--broker", there, *identity(stand, ca="other"))
    in_vain(stand, record, "--broker", there, *identity(stand, own=None))
    record.start("--broker", there, *identity(stand))
    wait_for("the connection", lambda: "connected to the broker filters" in log_of(stand))
    subprocess.run(["mosquitto_pub", "-h", "localhost", "-p", str(stand.port), "-V", "mqttv5", "-q", "1", "--cafile",
                    f"{stand.folder}/ca.pem", "--cert", f"{stand.folder}/record.pem", "--key",
                    f"{stand.folder}/record.key", "-t", "wellgate/v1/test/hub1/status", "-s"], input=STATUS, check=True)
    wait_for("the hub", lambda: record.count("hub") == 1)
    record.stop()
    print("in with a certificate; another name, another authority, no certificate: not")


def main():
    with Stand(sys.argv[1]) as stand:
        certificates(stand.folder)
        start_broker(stand)
        path = os.path.join(stand.folder, "record.db")
        record = Record(stand, "record", "sqlite:" + path, sqlite_query(path))
        try:
            run(stand, record)
        finally:
            if record.process and record.process.poll() is None:
                record.kill()


if __name__ == "__main__":
    main()
