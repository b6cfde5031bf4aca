#!/usr/bin/env python3
"""The bill of materials of our programs, SPDX 2.3 as JSON: what they link, and where it comes from.

usage: sbom.py --version VERSION [--out FILE] PROGRAM...

For each program the libraries that it names (readelf: NEEDED) and those that these need in turn (ldd);
for each library its Debian package, version, source package and licence file (dpkg). A library that no
package owns is an error: what is unknown must not look complete.
"""
import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys


def output(*command):
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def needed(program):
    """The names of the libraries that it asks for itself."""
    return re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", program))


def resolved(program):
    """Name of each library that is loaded -> its file."""
    found = {}
    for line in output("ldd", program).splitlines():
        by_name = re.match(r"\s*(\S+) => (/\S+) \(", line)
        by_path = re.match(r"\s*(/\S+) \(", line)  # the loader itself
        if by_name:
            found[by_name.group(1)] = by_name.group(2)
        elif by_path:
            found[os.path.basename(by_path.group(1))] = by_path.group(1)
        elif "not found" in line:
            raise SystemExit(f"{program}: {line.strip()}")
    return found


def owners(paths):
    """File -> its Debian package. /lib may be a link to /usr/lib, and dpkg knows one of the two."""
    names = {}
    for path in paths:
        real = os.path.realpath(path)
        for name in (path, real, "/usr" + path, re.sub("^/usr/", "/", real)):
            names[name] = path
    found = {}
    # its status is 1 as soon as one name has no owner, and each file has several names
    result = subprocess.run(["dpkg-query", "-S", *names], capture_output=True, text=True, check=False)
    for line in result.stdout.splitlines():
        package, _, name = line.partition(": ")
        if name in names:
            found[names[name]] = package.split(", ")[0]
    for path in paths:
        if path not in found:
            raise SystemExit(f"{path}: no package owns it")
    return found


def licence_file(package):
    path = f"/usr/share/doc/{package.split(':')[0]}/copyright"
    if not os.path.exists(path):
        raise SystemExit(f"{package}: has no {path}")
    return path


def licence_names(path):
    """The short names that a machine-readable licence file states; others state none."""
    with open(path, encoding="utf-8", errors="replace") as stream:
        return sorted(set(re.findall(r"^License: *(\S.*?)\s*$", stream.read(), re.M)))


def spdx_id(text):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", text)


def digest(path):
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def library_package(package, libraries, distribution):
    fields = "${Package}\n${Version}\n${Architecture}\n${source:Package}\n${source:Version}"
    name, version, architecture, source, source_version = output("dpkg-query", "-W", "-f", fields,
                                                                 package).split("\n")
    path = licence_file(package)
    stated = licence_names(path)
    return {
        "name": name,
        "SPDXID": spdx_id("Package-" + name),
        "versionInfo": version,
        "supplier": f"Organization: {distribution}",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "primaryPackagePurpose": "LIBRARY",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "licenseComments": f"Licence file: {path}. It states: {', '.join(stated) or 'see there'}",
        "copyrightText": "NOASSERTION",
        "sourceInfo": f"Shared libraries: {' '.join(sorted(libraries))}. "
                      f"Built from source package {source} {source_version}",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": f"pkg:deb/{distribution}/{name}@{version.replace(':', '%3A').replace('+', '%2B')}"
                                f"?arch={architecture}",
        }],
    }


def program_package(program, version):
    name = os.path.basename(program)
    return {
        "name": name,
        "SPDXID": spdx_id("Program-" + name),
        "versionInfo": version,
        "supplier": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "primaryPackagePurpose": "APPLICATION",
        "packageFileName": name,
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest(program)}],
        "licenseConcluded": "Apache-2.0",
        "licenseDeclared": "Apache-2.0",
        "copyrightText": "NOASSERTION",
    }


def relation(one, kind, other):
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def distribution_name():
    with open("/etc/os-release", encoding="utf-8") as stream:
        return re.search(r'^ID="?(\w+)', stream.read(), re.M).group(1)


def made_at(programs):
    """When the newest program was made, so that the same programs give the same document."""
    stamp = os.environ.get("SOURCE_DATE_EPOCH") or max(os.stat(program).st_mtime for program in programs)
    moment = datetime.datetime.fromtimestamp(int(float(stamp)), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def document(programs, version):
    packages, relations, libraries = [], [], {}
    loaded = {program: resolved(program) for program in programs}
    owner = owners(sorted({path for files in loaded.values() for path in files.values()}))
    for program in programs:
        mine = program_package(program, version)
        packages.append(mine)
        relations.append(relation("SPDXRef-DOCUMENT", "DESCRIBES", mine["SPDXID"]))
        direct, kinds = set(needed(program)), {}
        for library, path in loaded[program].items():
            libraries.setdefault(owner[path], set()).add(library)
            other = spdx_id("Package-" + owner[path].split(":")[0])
            kinds[other] = "DYNAMIC_LINK" if library in direct else kinds.get(other, "DEPENDS_ON")
        relations += [relation(mine["SPDXID"], kind, other) for other, kind in sorted(kinds.items())]
    distribution = distribution_name()
    packages += [library_package(name, libraries[name], distribution) for name in sorted(libraries)]
    sums = "".join(package["checksums"][0]["checksumValue"] for package in packages if "checksums" in package)
    versions = "".join(package["name"] + package["versionInfo"] for package in packages)
    unique = hashlib.sha256((sums + versions).encode()).hexdigest()[:32]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"wellgate-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/wellgate-{version}-{unique}",
        "creationInfo": {"created": made_at(programs), "creators": [f"Tool: wellgate-sbom-{version}"]},
        "packages": packages,
        "relationships": relations,
    }


def main():
    parser = argparse.ArgumentParser(description="the bill of materials of our programs, SPDX 2.3")
    parser.add_argument("--version", required=True)
    parser.add_argument("--out")
    parser.add_argument("programs", nargs="+")
    options = parser.parse_args()
    text = json.dumps(document(options.programs, options.version), indent=1, ensure_ascii=False) + "\n"
    if not options.out:
        sys.stdout.write(text)
        return
    with open(options.out + ".new", "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(options.out + ".new", options.out)


if __name__ == "__main__":
    main()
