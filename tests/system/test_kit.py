#!/usr/bin/env python3
"""A kit: prepared, applied, altered, replayed, for another box, old, cut short; and its cards, read
by programs that nobody here wrote (librsvg draws them, zbar reads the code)."""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

BIN = os.path.abspath(sys.argv[1])
PLAN = """# made up
[kit]
box = {box}
help = 020 7946 0000
days = 30
[hub]
site = mile-end
hub = hub-0123
[broker]
url = mqtts://broker.example.org
ca_file = ca.pem
cert_file = hub.pem
key_file = hub.key
delivery = receipt
[person]
subject = new
[goal walk]
title = Walk to the park and back
metric = steps
rule = sum_per_period
target = 4000
period = day
[device My scale]
kind = scale
device = 00112233445566778899aabbccddeeff
[device My blood pressure cuff & its box]
kind = cuff
device = 00112233445566778899aabbccddee00
memory = 60
clock = yes
wiped = yes
"""
SECRET = "not for anybody else\n"
failures = []


def check(what, good, detail=""):
    print(("ok      " if good else "FAILED  ") + what + (f": {detail}" if detail and not good else ""))
    if not good:
        failures.append(what)


def kit(*words):
    p = subprocess.run([BIN + "/wellgate", "kit", *words], capture_output=True, text=True, check=False)
    return p.returncode, p.stdout, p.stderr


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def make_box(name, number, team):
    os.makedirs(name + "/etc/wellgate")
    write(name + "/etc/machine-id", number * 8 + "\n")
    write(name + "/etc/wellgate/wellgate.conf", "[hub]\ntime_zone = Europe/London\n")
    if team:
        shutil.copy(team, name + "/etc/wellgate/kit.keys")
    code, out, _ = kit("box", "--root", name)
    assert code == 0
    return out.strip()


def tree(root):
    """every file, link and its content"""
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            found[path] = os.readlink(path) if os.path.islink(path) else open(path, "rb").read()
    return found


def prepare(to, *more, plan="plan.ini", key="team.key"):
    os.makedirs(to, exist_ok=True)
    return kit("prepare", plan, "--key", key, "--to", to, *more)


def refused(what, stick, box, says):
    before = tree(box)
    code, _, err = kit("apply", stick, "--root", box, "--keep")
    check(f"{what}: refused", code == 65 and says in err, f"{code} {err}")
    check(f"{what}: nothing is changed", tree(box) == before)


def good_kit(box):
    code, out, err = prepare("stick", "--serial", "5", "--json")
    check("prepared", code == 0, err)
    said = json.loads(out)
    check("says for which box", said["box"] == box and said["cards"] == 2)
    check("a new reference", len(said["subject"]) == 32)
    shutil.copytree("stick", "copy")
    code, _, err = kit("apply", "stick", "--root", "box")
    check("applied", code == 0, err)
    conf = read("box/etc/wellgate/wellgate.conf.d/50-kit.conf")
    check("its settings are the daemon's", "subject = " + said["subject"] in conf
          and "key_file = /etc/wellgate/kit/hub.key" in conf)
    check("the key is there, and not for all", read("box/etc/wellgate/kit/hub.key") == SECRET
          and os.stat("box/etc/wellgate/kit/hub.key").st_mode & 7 == 0)
    check("the key is not on the stick any more", not os.path.exists("stick/wellgate-kit/hub.key"))
    listed = json.loads(read("box/etc/wellgate/kit/registry.json"))
    check("devices and loans are listed", [len(listed["devices"]), len(listed["assignments"])] == [2, 2]
          and listed["assignments"][1]["wiped"] is True)
    return said


def applied_twice():
    before = tree("box")
    code, out, _ = kit("apply", "stick", "--root", "box")
    check("left in the box: applied before", code == 0 and "before" in out)
    check("left in the box: nothing is changed", tree("box") == before)
    os.unlink("box/etc/wellgate/wellgate.conf.d/50-kit.conf")
    code, _, _ = kit("apply", "stick", "--root", "box")
    check("cut short before the link: made up for", code == 0 and tree("box") == before)


def wrong_kits():
    shutil.copytree("copy", "altered")
    write("altered/wellgate-kit/wellgate.conf", read("copy/wellgate-kit/wellgate.conf").replace("mile-end", "mile-enD"))
    refused("altered file", "altered", "box2", "not whole")
    shutil.copytree("copy", "longer")
    with open("longer/wellgate-kit/ca.pem", "a", encoding="utf-8") as f:
        f.write("\n")
    refused("longer file", "longer", "box2", "not whole")
    shutil.copytree("copy", "linked")
    os.unlink("linked/wellgate-kit/hub.key")
    os.symlink("/etc/hostname", "linked/wellgate-kit/hub.key")
    refused("a link instead of a file", "linked", "box2", "not whole")
    shutil.copytree("copy", "listed")
    write("listed/wellgate-kit/manifest", read("copy/wellgate-kit/manifest").replace("serial 5", "serial 6"))
    refused("altered list", "listed", "box2", "not signed")
    for at in (0, 40):
        shutil.copytree("copy", f"signature{at}")
        signature = bytearray(base64.b64decode(read("copy/wellgate-kit/manifest.sig")))
        signature[at] ^= 1
        write(f"signature{at}/wellgate-kit/manifest.sig", base64.b64encode(signature).decode() + "\n")
        refused(f"altered signature at {at}", f"signature{at}", "box2", "not signed")
    refused("for another box", "copy", "other", "another box")
    refused("a team that the box does not know", "copy", "stranger", "not signed")


def old_kits():
    code, _, err = prepare("later", "--serial", "6")
    check("a later kit is prepared", code == 0, err)
    code, _, err = kit("apply", "later", "--root", "box", "--keep")
    check("a later kit takes the place", code == 0 and "serial 6" in read("box/etc/wellgate/kit/manifest"), err)
    check("nothing is left beside it", sorted(os.listdir("box/etc/wellgate")) ==
          ["kit", "kit.keys", "wellgate.conf", "wellgate.conf.d"])
    refused("replayed", "copy", "box", "later one")
    # signed by the team, but of long ago: python3-cryptography signs as the desk did then
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(read("team.key"))[:32])
    shutil.copytree("later", "old")
    lines = read("later/wellgate-kit/manifest").split("\n")
    lines[2:5] = ["serial 7", "issued 1600000000", "expires 1602592000"]
    text = "\n".join(lines)
    write("old/wellgate-kit/manifest", text)
    write("old/wellgate-kit/manifest.sig", base64.b64encode(key.sign(text.encode())).decode() + "\n")
    refused("expired", "old", "box", "too old")
    lines[3:5] = ["issued 4000000000", "expires 4002592000"]
    text = "\n".join(lines)
    write("old/wellgate-kit/manifest", text)
    write("old/wellgate-kit/manifest.sig", base64.b64encode(key.sign(text.encode())).decode() + "\n")
    code, _, err = kit("apply", "old", "--root", "box", "--keep")
    check("a box whose clock is behind takes it", code == 0, err)


def does_not_go_with_the_box():
    with open("box2/etc/wellgate/wellgate.conf", "a", encoding="utf-8") as f:
        f.write("[goal walk]\ntitle = Mine\nmetric = steps\nrule = sum_per_period\ntarget = 1\nperiod = night\n")
    refused("settings that do not go with the box's", "copy", "box2", "")
    check("no link to nowhere is left", not os.path.lexists("box2/etc/wellgate/wellgate.conf.d/50-kit.conf"))


def wrong_plans(box):
    for what, old, new in (("no box", "box = " + box, ""), ("a wrong box", box, "12345"),
                           ("an unknown key", "days = 30", "dayz = 30"), ("too many days", "days = 30", "days = 400"),
                           ("a name as a reference", "subject = new", "subject = Ada Lovelace"),
                           ("memory that nobody looked at", "wiped = yes", ""),
                           ("no such kind", "kind = scale", "kind = crystal"),
                           ("what wellgated refuses", "period = day", "period = moon"),
                           ("a file out of the folder", "ca_file = ca.pem", "ca_file = .hidden"),
                           ("no such file", "ca_file = ca.pem", "ca_file = none.pem")):
        write("wrong.ini", PLAN.format(box=box).replace(old, new))
        code, _, err = prepare("wrong", plan="wrong.ini")
        check(f"plan with {what}: refused", code in (65, 74) and len(err.splitlines()) == 1, f"{code} {err}")
        check(f"plan with {what}: no kit", not os.path.exists("wrong/wellgate-kit"))
    os.chmod("team.key", 0o644)
    code, _, err = prepare("wrong")
    check("a key that others may read: refused", code == 65 and "chmod" in err)
    os.chmod("team.key", 0o600)


def cards(box):
    for name, says in (("card-1", f"WELLGATE:{box}:1"), ("card-2", f"WELLGATE:{box}:2"), ("label", f"WELLGATE:{box}:0")):
        subprocess.run(["rsvg-convert", "-d", "150", "-p", "150", f"stick/print/{name}.svg", "-o", "card.png"], check=True)
        out = subprocess.run(["zbarimg", "-q", "--raw", "card.png"], capture_output=True, text=True, check=True).stdout
        check(f"{name}: its code is read by a scanner", out.strip() == says, out)
        text = read(f"stick/print/{name}.svg")
        if name != "label":
            check(f"{name}: the safety sentence is on it", "This box is not watched." in text and "999" in text)
        check(f"{name}: no reference of a person", json_subject not in text)
    check("what is in a name is text", "&amp;" in read("stick/print/card-2.svg"))


with tempfile.TemporaryDirectory(prefix="wellgate-kit-") as folder:
    os.chdir(folder)
    assert kit("keys", "team.key")[0] == 0 and kit("keys", "strange.key")[0] == 0
    check("a key is not written over", kit("keys", "team.key")[0] == 74)
    number = make_box("box", "0123", "team.key.pub")
    make_box("box2", "0123", "team.key.pub")
    make_box("other", "4567", "team.key.pub")
    make_box("stranger", "0123", "strange.key.pub")
    write("plan.ini", PLAN.format(box=number))
    for file in ("ca.pem", "hub.pem", "hub.key"):
        write(file, SECRET)
    json_subject = good_kit(number)["subject"]
    applied_twice()
    wrong_kits()
    old_kits()
    does_not_go_with_the_box()
    wrong_plans(number)
    cards(number)

print(f"{len(failures)} failed")
sys.exit(1 if failures else 0)
