#!/usr/bin/env python3
"""The local page, end to end: real broker, daemon and page; a fortnight of made-up readings. First what
a hostile browser would try, then Chromium: text, picture and table agree, without scripts, narrow,
large, printed, and axe-core where npm has fetched it. All data is synthetic.

usage: test_page.py PROGRAMS door|browser [FOLDER_FOR_SCREENSHOTS]
"""
import base64
import concurrent.futures
import datetime
import glob
import http.client
import json
import os
import re
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "system"))
from stand import Stand, free_port, wait_for  # noqa: E402  (its folder is known only now)

DAYS = 14
EXTRA = """
[page]
listen = 127.0.0.1:{port}
[goal walk]
title = Walk to the park and back
metric = steps
rule = count_days
target = 3
day_target = 5000
period = week
[goal weight]
title = Keep my <b>weight</b>
metric = body_weight
rule = trend
period = week
direction = steady
agreed_by = professional
show_weight = {show}
"""
GOOGLE = "Takeout/Fitbit/Physical Activity_GoogleData/"
SLEEP = "Takeout/Fitbit/Global Export Data/"


def days_ago(n):
    return datetime.datetime.now(datetime.timezone.utc).date() - datetime.timedelta(days=n)


def made_up():
    """Steps and weights of a fortnight with two days missing, and the nights."""
    files, nights, weights = {}, [], "timestamp,weight grams,data source\n"
    steps = "timestamp,steps,data source\n"
    for n in range(DAYS, 0, -1):
        day = days_ago(n)
        if n in (6, 7):
            continue
        for hour in range(9, 19):
            steps += f"{day}T{hour:02}:00:00Z,{400 + 37 * n % 200}.0,Made up\n"
        weights += f"{day}T07:10:00Z,{81000 + (n * 331) % 900}.0,Made up\n"
        nights.append({"logId": 1000 + n, "dateOfSleep": str(day), "startTime": f"{days_ago(n + 1)}T23:10:00.000",
                       "endTime": f"{day}T06:10:00.000", "duration": 420 * 60000, "minutesAsleep": 380 + n,
                       "minutesAwake": 40 - n, "timeInBed": 420, "efficiency": 91, "type": "classic",
                       "levels": {"summary": {}, "data": []}, "mainSleep": True, "logType": "auto_detected"})
    files[GOOGLE + "steps_2026-03-01.csv"] = steps
    files[GOOGLE + "weight.csv"] = weights
    files[SLEEP + "sleep-2026-03-01.json"] = json.dumps(nights)
    return files


def seed(stand):
    folder = os.path.join(stand.folder, "made-up")
    for path, text in made_up().items():
        path = os.path.join(folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
    result = stand.wellgate("import", "fitbit", folder)
    assert result.returncode == 0, result.stderr
    capture = os.path.join(stand.folder, "week.cap")
    with open(capture, "wb") as stream:
        subprocess.run([stand.path("wellgate"), "simulate", "home-week", "--start", f"{days_ago(7)}T06:30:00Z"],
                       stdout=stream, check=True)
    stand.start_devices(capture)
    stand.finish_replay()


class Page:
    """What speaks HTTP to the page, as a browser or worse."""

    def __init__(self, port):
        self.port = port
        self.cookie = None

    def ask(self, method, path, body=None, headers=None, cookie=True):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = dict(headers or {})
        if cookie and self.cookie:
            sent["Cookie"] = "wellgate=" + self.cookie
        if body is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        given = answer.getheader("Set-Cookie")
        if given and cookie:
            self.cookie = re.match(r"wellgate=([0-9a-f]{64}); Path=/; HttpOnly; SameSite=Strict$", given)[1]
        return answer, text

    def csrf(self, path="/"):
        return re.search(r'name="csrf" value="([0-9a-f]{64})"', self.ask("GET", path)[1])[1]

    def enter(self, code):
        return self.ask("POST", "/enter", f"csrf={self.csrf()}&code={code}")[0].status


def code_of(stand, *options):
    result = stand.wellgate("page", "code", "--json", *options)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["code"]


def raw(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        got = b""
        while True:
            try:
                if data:
                    peer.sendall(data)
                    peer.shutdown(socket.SHUT_WR)
                    data = b""
                more = peer.recv(65536)
            except OSError:  # it hung up on us, which it may
                return got
            if not more:
                return got
            got += more


def check_door(stand, port):
    """Nothing personal without a code; a code is good once, and gone after five wrong ones."""
    page = Page(port)
    answer, text = page.ask("GET", "/")
    assert answer.status == 200 and "Code from the box" in text and "<svg" not in text and "mmHg" not in text, text
    assert page.ask("GET", "/readings.csv")[1].startswith("<!DOCTYPE"), "a file without a code"
    for name, value in (("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"),
                        ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY")):
        assert answer.getheader(name) == value, name
    policy = answer.getheader("Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script" not in policy, policy
    code = code_of(stand)
    other = "000000" if code != "000000" else "000001"
    for _ in range(5):
        assert page.enter(other) == 403
    assert page.enter(code) == 403, "it was guessed at too often"
    code = code_of(stand)
    visitor = page.cookie
    assert page.enter(code) == 303 and page.cookie != visitor, "a new session has a new token"
    assert Page(port).enter(code) == 403, "a code is good once"
    return page


def check_hostile(port, page):
    """Each is refused in its own way, and the page answers the next one all the same."""
    csrf = page.csrf("/goals")
    body = f"csrf={csrf}&goal=walk&rest=yes"
    tries = [
        (421, page.ask("GET", "/", headers={"Host": "evil.example:80"})),
        (421, page.ask("GET", "/", headers={"Host": f"127.0.0.1.evil.example:{port}"})),
        (403, page.ask("POST", "/rest", "goal=walk&rest=yes")),
        (403, page.ask("POST", "/rest", body.replace(csrf, "0" * 64))),
        (403, page.ask("POST", "/rest", body, {"Origin": "http://evil.example"})),
        (403, page.ask("POST", "/rest", body, {"Sec-Fetch-Site": "cross-site"})),
        (403, page.ask("POST", "/rest", body, cookie=False)),
        (403, page.ask("POST", "/rest", body + "&csrf=" + csrf)),
        (400, page.ask("POST", "/said", f"csrf={csrf}&reading=00&me=yes")),
        (400, page.ask("POST", "/rest", f"csrf={csrf}&goal=%3Cscript%3E&rest=yes")),
        (409, page.ask("POST", "/rest", f"csrf={csrf}&goal=of-somebody-else&rest=yes")),
        (413, page.ask("POST", "/rest", body + "&x=" + "a" * 5000)),
        (405, page.ask("PUT", "/", "x")),
        (404, page.ask("GET", "/../../etc/passwd")),
        (403, page.ask("GET", "/clinic")),
    ]
    for number, (status, (answer, _)) in enumerate(tries):
        assert answer.status == status, (number, status, answer.status)
    broken = (b"\0" * 4000, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"GET /" + b"a" * 70000,
              b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 9000, b"POST /enter HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
              b"POST /enter HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")
    with concurrent.futures.ThreadPoolExecutor(len(broken)) as pool:  # some are only ended by the page's patience
        for data, got in zip(broken, pool.map(lambda data: raw(port, data), broken)):
            assert b" 200 " not in got[:20], data[:40]
    held_open = [socket.create_connection(("127.0.0.1", port)) for _ in range(6)]
    assert page.ask("GET", "/goals")[0].status == 200
    for peer in held_open:
        peer.close()


def check_clinic(stand, port):
    staff = Page(port)
    assert staff.enter(code_of(stand, "--staff")) == 303
    answer, text = staff.ask("GET", "/clinic")
    assert answer.status == 200 and "Who has what" in text, text
    assert staff.ask("GET", "/")[0].status == 303, "a person's page is not for staff"
    assert not re.search(r"\b8[0-9]\.[0-9]", text), "a value in the clinic view"


def numbers(text, section, column):
    """the cells of one column of the table in a section, newest first"""
    part = re.search(rf'<section id="{section}">(.*?)</section>', text, re.S)[1]
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.S)[1:]
    return [re.findall(r"<td>(.*?)</td>", row, re.S)[column] for row in rows], part


def check_agree(stand, page, show):
    """Text, picture and table say the same; and the same as `wellgate readings`."""
    text = page.ask("GET", "/")[1]
    listed = [json.loads(line) for line in stand.wellgate("readings", "--json", "--limit", "100000").stdout.splitlines()]
    uppers = [c["value"] for r in listed for c in r.get("components", ()) if c["metric"] == "systolic"]
    cells, part = numbers(text, "pressure", 1)
    assert sorted(cells) == sorted(uppers) and cells, (cells, uppers)
    assert part.count('class="dot"') == part.count('class="ring"') == len(cells)
    assert f"The picture has {len(cells)} readings" in part and "This box is not watched." in part
    cells, part = numbers(text, "steps", 1)
    assert len(cells) == part.count('class="column"') == DAYS - 2, cells
    expected = {f"{days_ago(n).day} {days_ago(n):%B}": str(10 * (400 + 37 * n % 200))
                for n in range(1, DAYS + 1) if n not in (6, 7)}
    assert dict(zip(numbers(text, "steps", 0)[0], cells)) == expected, (cells, expected)
    weights = [c["value"] for r in listed for c in r.get("components", ()) if c["metric"] == "body_weight"]
    if show:
        cells, part = numbers(text, "weight", 1)
        assert sorted(cells) == sorted(weights) and part.count('class="dot"') == len(weights), (cells, weights)
        assert 'class="line"' in part and part.count("M") >= 1
    else:
        assert "Weigh-ins saved:" in text, text
        for value in weights:
            assert value not in text and value not in page.ask("GET", "/readings.csv")[1], value
    assert ("Your weight is hidden" in page.ask("GET", "/box")[1]) != show
    assert "Keep my &lt;b&gt;weight&lt;/b&gt;" in page.ask("GET", "/goals")[1]
    exported = page.ask("GET", "/readings.csv")[1].splitlines()
    assert exported[0] == "measured_at,metric,value,unit" and len(exported) > len(uppers)


def driver(scripts):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"):
        options.add_argument(flag)
    options.binary_location = "/usr/bin/chromium"
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


def axe_source():
    found = glob.glob(os.path.join(HERE, "../../build/page-styles/node_modules/axe-core/axe.min.js"))
    if not found:
        return None
    with open(found[0], encoding="utf-8") as stream:
        return stream.read()


def shoot(browser, folder, name):
    if folder:
        with open(os.path.join(folder, name + ".png"), "wb") as stream:
            stream.write(base64.b64decode(browser.get_screenshot_as_base64()))


PATHS = (("/", "today"), ("/goals", "goals"), ("/box", "box"), ("/help", "help"))


def check_browser(stand, port, shots):
    """As a person has it: no scripts."""
    browser = driver(False)
    try:
        browser.set_window_size(900, 1300)
        browser.get(f"http://127.0.0.1:{port}/")
        browser.find_element("id", "code").send_keys(code_of(stand))
        shoot(browser, shots, "enter")
        browser.find_element("css selector", "main > form button").click()
        wait_for("the page to open", lambda: browser.find_elements("id", "pressure"))
        for path, name in PATHS:
            for width, zoom in ((900, 1), (320, 1), (900, 2)):
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                    "width": width // zoom, "height": 1300 // zoom, "deviceScaleFactor": zoom, "mobile": False})
                browser.get(f"http://127.0.0.1:{port}{path}")
                layout = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})
                assert layout["cssContentSize"]["width"] <= width // zoom, (path, width, zoom, layout)
                shoot(browser, shots, f"{name}-{width}-{zoom}")
        pdf = browser.execute_cdp_cmd("Page.printToPDF", {})["data"]
        assert base64.b64decode(pdf).startswith(b"%PDF")
    finally:
        browser.quit()


def check_axe(stand, port, page):
    """axe-core, which is a script and comes in over the driver, finds nothing."""
    axe = axe_source()
    if not axe:
        print("axe-core: not here, left out")
        return
    browser = driver(True)
    try:
        browser.get(f"http://127.0.0.1:{port}/help")
        staff = Page(port)
        assert staff.enter(code_of(stand, "--staff")) == 303
        paths = [("/", None), ("/clinic", staff.cookie)] + [(path, page.cookie) for path, _ in PATHS]
        for path, cookie in paths:
            browser.delete_all_cookies()
            if cookie:
                browser.add_cookie({"name": "wellgate", "value": cookie, "path": "/"})
            browser.get(f"http://127.0.0.1:{port}{path}")
            assert bool(browser.find_elements("id", "code")) == (cookie is None), path
            browser.execute_script(axe)
            found = browser.execute_async_script("const done = arguments[0]; axe.run().then(r => done(r.violations))")
            assert not found, [(v["id"], [n["html"] for n in v["nodes"]]) for v in found]
        print("axe-core: 0 violations")
    finally:
        browser.quit()


def run(programs, show, shots):
    port = free_port()
    with Stand(programs, EXTRA.format(port=port, show="yes" if show else "no")) as stand:
        stand.start_broker()
        stand.start_gateway()
        wait_for("the gateway", lambda: stand.status() is not None)
        server = stand.spawn(stand.path("wellgate-page"), "--config", stand.config)
        try:
            wait_for("the page", lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
            seed(stand)
            page = check_door(stand, port)
            check_agree(stand, page, show)
            check_clinic(stand, port)
            if show:
                check_browser(stand, port, shots)
                check_axe(stand, port, page)
            else:
                check_hostile(port, page)
            assert page.ask("POST", "/leave", f"csrf={page.csrf()}")[0].status == 303
            assert "Code from the box" in page.ask("GET", "/")[1]
            assert server.poll() is None, "the page ended"
        finally:
            server.terminate()
            server.wait()
        assert server.returncode == 0, server.returncode


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2] == "browser", sys.argv[3] if len(sys.argv) > 3 else None)
    print("page: text, picture and table agree")
