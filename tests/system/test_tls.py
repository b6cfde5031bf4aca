#!/usr/bin/env python3
"""Brokers that must not be believed, and hubs that are not let in: each is refused, says why in one
plain sentence, and sends nothing. One mosquitto has a port for each of them, and each port has a hub
of its own; they all run at the same time. Some hubs have an openssl.cnf that allows everything, so
that what refuses is ours. Then: a certificate that is renewed while the hub runs."""
import json
import os
import shutil
import socket
import subprocess
import sys

from stand import Stand, wait_for

NAMED = "subjectAltName=DNS:localhost"
SERVER = NAMED + "\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature"
PAST = ("20200101000000Z", "20200201000000Z")
FUTURE = ("20900101000000Z", "20910101000000Z")
NOW = ("20190101000000Z", "20900101000000Z")
MADE_LATER = ("20240101000000Z", "20900101000000Z")  # later than the clock of the hub says, before the build
WEAK = """openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = weak
[weak]
MinProtocol = TLSv1
MaxProtocol = {newest}
CipherString = ALL:@SECLEVEL=0
"""
NEWEST = ("TLSv1.1", "TLSv1.2", "TLSv1.3")  # that a broker speaks

EXPIRED = "the broker's certificate has expired"
NOT_YET = "the broker's certificate is not valid yet"
UNKNOWN = "the broker's certificate is from an authority that is not in ca_file"
OLD = "the broker has no TLS 1.2 or newer that is safe"
NOT_US = "the broker does not trust this hub's certificate: renew cert_file and key_file"
NO_CERT = "the broker wants a certificate of this hub: set cert_file and key_file"


class Authority:
    """Makes certificates, also such as an honest one never would; `openssl ca` takes any dates."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        os.mkdir(self.path("d"))
        open(self.path("d/index"), "w", encoding="ascii").close()
        with open(self.path("cnf"), "w", encoding="ascii") as stream:
            stream.write(f"""[ca]
default_ca = own
[own]
new_certs_dir = {self.path("d")}
database = {self.path("d/index")}
rand_serial = yes
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
[any]
commonName = supplied
""")
        with open(self.path("ext"), "w", encoding="ascii") as stream:
            stream.write("basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n")
        run(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.path("key"),
            "-out", self.path("csr"), "-subj", f"/CN={name}")
        self.sign(self.path("csr"), self.path("pem"), self.path("ext"), NOW, "-selfsign")

    def path(self, name):
        return os.path.join(self.folder, f"{self.name}.{name}")

    def sign(self, request, certificate, extensions, dates, *how):
        run(self.folder, "ca", "-batch", "-config", self.path("cnf"), "-keyfile", self.path("key"), "-in", request, "-out",
            certificate, "-notext", "-startdate", dates[0], "-enddate", dates[1], "-extfile", extensions, *how)

    def issue(self, name, dates=NOW, extensions=SERVER, subject="localhost",
              key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        base = os.path.join(self.folder, name)
        with open(base + ".ext", "w", encoding="ascii") as stream:
            stream.write(extensions + "\n")
        run(self.folder, "req", "-newkey", *key, "-nodes", "-keyout", base + ".key", "-out", base + ".csr", "-subj",
            f"/CN={subject}")
        self.sign(base + ".csr", base + ".pem", base + ".ext", dates, "-cert", self.path("pem"))
        return base


def run(folder, *command):
    subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


class Case:
    """one port of the broker, and the hub that is sent there"""

    def __init__(self, name, why, server="good", client="hub", ca="ca", newest="TLSv1.3", host="localhost",
                 conf=False, preload=None):
        self.name, self.why, self.server, self.client = name, why, server, client
        self.ca, self.newest, self.host, self.conf, self.preload = ca, newest, host, conf, preload
        self.port = self.hub = self.folder = None

    def listener(self, folder):
        text = f"listener {self.port} 127.0.0.1\n"
        if self.server:
            text += (f"certfile {folder}/{self.server}.pem\nkeyfile {folder}/{self.server}.key\n"
                     f"cafile {folder}/ca.pem\nrequire_certificate true\nciphers ALL:@SECLEVEL=0\n")
            if self.newest == "TLSv1.1":
                text += "tls_version tlsv1.1\n"  # or newer, which openssl.cnf takes away
        return text

    def start(self, stand, early):
        folder, mine = stand.folder, os.path.join(stand.folder, "hub-" + self.name)
        self.folder = mine
        os.makedirs(os.path.join(mine, "run"), mode=0o700)
        with open(mine + ".conf", "w", encoding="ascii") as stream:
            stream.write(f"[hub]\nsite = test\nhub = {self.name}\nstate_dir = {mine}/state\nruntime_dir = {mine}/run\n"
                         f"[broker]\nurl = mqtts://{self.host}:{self.port}\nca_file = {folder}/{self.ca}.pem\n")
            if self.client:
                cert, key = self.client if isinstance(self.client, tuple) else (self.client, self.client)
                stream.write(f"cert_file = {folder}/{cert}.pem\nkey_file = {folder}/{key}.key\n")
        environment = dict(os.environ)
        if self.conf:
            environment["OPENSSL_CONF"] = os.path.join(folder, "TLSv1.3.cnf")
        if self.preload:
            # the sanitizers want to be loaded first, and say so
            environment["LD_PRELOAD"] = early
            environment["ASAN_OPTIONS"] = "verify_asan_link_order=0"
        self.hub = subprocess.Popen([stand.path("wellgated"), "--config", mine + ".conf"], stdin=subprocess.DEVNULL,
                                    stdout=stand.logs, stderr=stand.logs, env=environment)

    def status(self, stand):
        result = subprocess.run([stand.path("wellgate"), "status", "--json"], capture_output=True, text=True,
                                check=False, env={**os.environ, "WELLGATE_RUNTIME_DIR": os.path.join(self.folder, "run")})
        return json.loads(result.stdout) if result.returncode == 0 else None

    def decided(self, stand):
        status = self.status(stand)
        return status is not None and (status["broker_connected"] or status.get("why"))


def make_certificates(folder):
    ca, other = Authority(folder, "ca"), Authority(folder, "other")
    ca.issue("good")
    ca.issue("expired", PAST)
    ca.issue("future", FUTURE)
    ca.issue("later", MADE_LATER)
    ca.issue("name", extensions=SERVER.replace("localhost", "elsewhere.invalid"), subject="elsewhere.invalid")
    ca.issue("client-only", extensions=NAMED + "\nextendedKeyUsage=clientAuth")
    ca.issue("weak", key=("rsa:1024",))
    ca.issue("revoked")
    other.issue("stranger")
    for name in ("hub", "hub2"):
        ca.issue(name, extensions="extendedKeyUsage=clientAuth", subject="hub")
    ca.issue("hub-expired", PAST, extensions="extendedKeyUsage=clientAuth", subject="hub")
    ca.issue("hub-server", extensions="extendedKeyUsage=serverAuth", subject="hub")
    other.issue("hub-stranger", extensions="extendedKeyUsage=clientAuth", subject="hub")
    run(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "self.key",
        "-out", "self.pem", "-days", "3650", "-subj", "/CN=localhost", "-addext", NAMED)
    run(folder, "ca", "-config", ca.path("cnf"), "-cert", ca.path("pem"), "-keyfile", ca.path("key"), "-revoke",
        "revoked.pem")
    run(folder, "ca", "-config", ca.path("cnf"), "-cert", ca.path("pem"), "-keyfile", ca.path("key"), "-gencrl", "-out",
        "list.pem")
    with open(os.path.join(folder, "ca-list.pem"), "wb") as out:
        for part in ("ca.pem", "list.pem"):
            with open(os.path.join(folder, part), "rb") as stream:
                out.write(stream.read())
    with open(os.path.join(folder, "empty.pem"), "wb"):
        pass
    for newest in NEWEST:
        with open(os.path.join(folder, newest + ".cnf"), "w", encoding="ascii") as stream:
            stream.write(WEAK.format(newest=newest))


def cases():
    return [
        # believed
        Case("good", None),
        Case("good-1-2", None, newest="TLSv1.2"),
        Case("good-list", None, ca="ca-list"),
        Case("good-early", None, preload=True),
        Case("good-early-later", None, server="later", preload=True),
        # brokers
        Case("expired", EXPIRED, "expired"),
        Case("expired-early", EXPIRED, "expired", preload=True),
        Case("future", NOT_YET, "future"),
        Case("name", "the broker's certificate is for another name", "name"),
        Case("address", "the broker's certificate is for another name", host="127.0.0.1"),
        Case("stranger", UNKNOWN, "stranger"),
        Case("ca-stranger", UNKNOWN, ca="other"),
        Case("self", "the broker's certificate is signed by itself, and is not in ca_file", "self"),
        Case("purpose", "the broker's certificate is not one for a server", "client-only"),
        Case("weak", "the broker's certificate has a key that is too weak", "weak", conf=True),
        Case("revoked", "the broker's certificate was revoked", "revoked", ca="ca-list"),
        Case("tls-1-1", OLD, newest="TLSv1.1"),
        Case("tls-1-1-allowed", OLD, newest="TLSv1.1", conf=True),
        Case("plain", "the broker breaks off: perhaps there is no TLS at this port", server=None),
        # the hub itself
        Case("nobody", NO_CERT, client=None),
        Case("nobody-1-2", NO_CERT, client=None, newest="TLSv1.2"),
        Case("hub-stranger", NOT_US, client="hub-stranger"),
        Case("hub-server", NOT_US, client="hub-server"),
        Case("hub-expired", "this hub's certificate has expired: renew cert_file and key_file", client="hub-expired"),
        Case("pair", "cert_file and key_file do not belong together", client=("hub", "hub2")),
        Case("no-key", "key_file cannot be read, or there is no open key in it", client=("hub", "missing")),
        Case("no-cert", "cert_file cannot be read, or there is no certificate in it", client=("missing", "hub")),
        Case("no-ca", "ca_file cannot be read, or there is no certificate in it", ca="empty"),
    ]


class Broker:
    """Of one newest version of TLS, with a port for each of its cases; the last has a plain port
    for the subscriber as well."""

    def __init__(self, stand, newest, all_cases):
        self.stand, self.newest = stand, newest
        self.cases = [c for c in all_cases if c.newest == newest]
        self.held = []
        self.process = None

    def hold_ports(self):
        """All at once, and held until the broker takes them: so no two are the same."""
        plain = self.newest == NEWEST[-1]
        self.held = [socket.create_server(("127.0.0.1", 0)) for _ in range(len(self.cases) + plain)]
        ports = [held.getsockname()[1] for held in self.held]
        for case, port in zip(self.cases, ports):
            case.port = port
        if plain:
            self.stand.port = ports[-1]

    def listeners(self):
        text = "allow_anonymous true\n" + "".join(c.listener(self.stand.folder) for c in self.cases)
        if self.newest == NEWEST[-1]:
            text += f"listener {self.stand.port} 127.0.0.1\n"
        return text + ("user root\n" if os.geteuid() == 0 else "")

    def spawn(self):
        base = os.path.join(self.stand.folder, self.newest)
        with open(base + ".conf", "w", encoding="ascii") as stream:
            stream.write(self.listeners())
        for held in self.held:
            held.close()
        with open(base + ".log", "wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", base + ".conf"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**os.environ, "OPENSSL_CONF": base + ".cnf"})

    def log(self):
        with open(os.path.join(self.stand.folder, self.newest + ".log"), encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def listens(self):
        """or has ended; it says "running" when it has all its ports"""
        return self.process.poll() is not None or " running" in self.log()

    def start(self):
        """Somebody else may take a port between our letting go and the broker's taking: then others."""
        for _ in range(20):
            self.spawn()
            wait_for(f"the broker of {self.newest} to listen", self.listens, 60)
            if self.process.poll() is None:
                return
            if "Address already in use" not in self.log():
                break
            self.hold_ports()
        raise AssertionError(f"the broker of {self.newest} does not start:\n{self.log()}")


def start_brokers(stand, all_cases):
    brokers = [Broker(stand, newest, all_cases) for newest in NEWEST]
    try:
        for broker in brokers:
            broker.hold_ports()
        for broker in brokers:
            broker.start()
    except BaseException:
        stop(broker.process for broker in brokers if broker.process)
        raise
    return [broker.process for broker in brokers]


def stop(processes):
    for process in processes:
        process.kill()
        process.wait()


def old_tls_works(stand, case):
    """The broker of old TLS does speak it, to whom allows it: else it would be refused for nothing."""
    result = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{case.port}", "-tls1_1", "-cert",
                             "hub.pem", "-key", "hub.key"], cwd=stand.folder, input=b"", capture_output=True, check=False,
                            env={**os.environ, "OPENSSL_CONF": os.path.join(stand.folder, "TLSv1.3.cnf")})
    assert b"TLSv1.1" in result.stdout, result.stderr


def senders(stand):
    """from the topics wellgate/v1/SITE/HUB/...; the schema is of no hub"""
    return {line.split("/")[3] for line in stand.lines() if "/test/" in line}


def renew(stand, case):
    """New files, and the next connection has them; the process is the same."""
    for kind in ("pem", "key"):
        shutil.copy(os.path.join(stand.folder, "hub2." + kind), os.path.join(stand.folder, "new." + kind))
        os.rename(os.path.join(stand.folder, "new." + kind), os.path.join(stand.folder, "hub-expired." + kind))
    wait_for("the renewed certificate to be used", lambda: case.status(stand)["broker_connected"])
    assert case.hub.poll() is None


def main(programs):
    all_cases = cases()
    early = os.path.join(os.path.dirname(os.path.abspath(programs)), "tests", "system", "libearly.so")
    with Stand(programs) as stand:
        make_certificates(stand.folder)
        brokers = start_brokers(stand, all_cases)
        try:
            stand.subscribe()
            for case in all_cases:
                case.start(stand, early)
            for case in all_cases:
                wait_for(f"{case.name} to be decided", lambda c=case: c.decided(stand))
            for case in all_cases:
                status = case.status(stand)
                print(f"{case.name}: {status.get('why') or 'connected'}")
                assert bool(status["broker_connected"]) == (case.why is None), case.name
                assert (status.get("why") or None) == case.why, f"{case.name}: expected {case.why}"
            old_tls_works(stand, next(c for c in all_cases if c.name == "tls-1-1"))
            good = {c.name for c in all_cases if c.why is None and c.newest == NEWEST[-1]}
            wait_for("the good hubs' messages", lambda: good <= senders(stand))
            assert senders(stand) == good
            renew(stand, next(c for c in all_cases if c.name == "hub-expired"))
        finally:
            stop(brokers + [case.hub for case in all_cases if case.hub])
    print(f"{len(all_cases)} brokers and hubs: believed or refused as they should, each with its reason")


if __name__ == "__main__":
    main(sys.argv[1])
