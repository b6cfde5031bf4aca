#!/usr/bin/env python3
"""The bill of materials names every library that our programs link, with package, version and licence
file. Read by objdump, not by what made it; and what is missing from a spoiled one is found.

usage: sbom.py SBOM PROGRAM...
"""
import copy
import hashlib
import json
import os
import re
import subprocess
import sys


def needed(program):
    text = subprocess.run(["objdump", "-p", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"^ +NEEDED +(\S+)$", text, re.M)


def installed(sbom):
    """Name of each library's package -> its versions here."""
    names = [package["name"] for package in sbom["packages"] if package.get("primaryPackagePurpose") == "LIBRARY"]
    text = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names], capture_output=True,
                          text=True, check=False).stdout
    versions = {}
    for name, version in (line.split() for line in text.splitlines() if " " in line.strip()):
        versions.setdefault(name, set()).add(version)
    return versions


def check_package(package, versions):
    for key in ("name", "SPDXID", "versionInfo", "downloadLocation", "licenseDeclared", "licenseConcluded"):
        if not package.get(key):
            yield f"{package.get('name')}: no {key}"
    if package.get("primaryPackagePurpose") != "LIBRARY":
        return
    licence = re.search(r"Licence file: (\S+)\.", package.get("licenseComments", ""))
    if not licence or not os.path.exists(licence.group(1)):
        yield f"{package['name']}: no licence file"
    said = versions.get(package["name"], set())
    if package["versionInfo"] not in said:
        yield f"{package['name']}: version {package['versionInfo']}, and here is {sorted(said)}"


def check_program(sbom, program, by_id):
    name = os.path.basename(program)
    mine = [package for package in sbom["packages"] if package.get("packageFileName") == name]
    if len(mine) != 1:
        yield f"{name}: stands there {len(mine)} times"
        return
    with open(program, "rb") as stream:
        if mine[0]["checksums"][0]["checksumValue"] != hashlib.sha256(stream.read()).hexdigest():
            yield f"{name}: another build"
    linked = set()
    for relation in sbom["relationships"]:
        if relation["spdxElementId"] == mine[0]["SPDXID"] and relation["relationshipType"] == "DYNAMIC_LINK":
            other = by_id.get(relation["relatedSpdxElement"], {})
            libraries = re.search(r"Shared libraries: ([^ ].*?)\. ", other.get("sourceInfo", ""))
            linked |= set(libraries.group(1).split()) if libraries else set()
    for library in needed(program):
        if library not in linked:
            yield f"{name}: links {library}, which is not named"


def problems(sbom, programs, versions):
    by_id = {package["SPDXID"]: package for package in sbom["packages"]}
    if sbom["spdxVersion"] != "SPDX-2.3" or len(by_id) != len(sbom["packages"]):
        yield "not SPDX 2.3, or an identifier stands there twice"
    for relation in sbom["relationships"]:
        if relation["relatedSpdxElement"] not in by_id:
            yield f"{relation['relatedSpdxElement']} is related and not there"
    for package in sbom["packages"]:
        yield from check_package(package, versions)
    for program in programs:
        yield from check_program(sbom, program, by_id)


def spoil(sbom, what):
    """The same without one library, with another version, or with another program."""
    bad = copy.deepcopy(sbom)
    library = next(package for package in bad["packages"] if package["name"].startswith("libprotobuf-c"))
    if what == "package":
        bad["packages"].remove(library)
    elif what == "version":
        library["versionInfo"] = "0"
    elif what == "library":
        library["sourceInfo"] = "Shared libraries: libnothing.so. "
    else:
        program = next(package for package in bad["packages"] if "checksums" in package)
        program["checksums"][0]["checksumValue"] = "00"
    return bad


def main():
    with open(sys.argv[1], encoding="utf-8") as stream:
        sbom = json.load(stream)
    versions = installed(sbom)
    found = list(problems(sbom, sys.argv[2:], versions))
    for what in ("package", "version", "library", "program"):
        if not list(problems(spoil(sbom, what), sys.argv[2:], versions)):
            found.append(f"a bill with a spoiled {what} is not noticed")
    for line in found:
        print(line)
    print(f"{len(sbom['packages'])} packages, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
