#!/usr/bin/env python3
"""words.py finds what it is there to find, and its reading age is the one that is published."""
import importlib.util
import os
import subprocess
import sys
import tempfile

DEF = 'WORD(GOOD, SENTENCE, "")\nWORD(ODD, {kind}, "")\n'
SAY = 'SAY(GOOD, "You walked on three days.")\nSAY(ODD, "{text}")\n'
BAD = [
    ("SENTENCE", "You only walked once.", "says only"),
    ("SENTENCE", "You failed to walk.", "says fail*"),
    ("SENTENCE", "Well done!", "says !"),
    ("SENTENCE", "Your reading is abnormal.", "says abnormal*"),
    ("SENTENCE", "you walked.", "not a whole sentence"),
    ("SENTENCE", "You walked", "not a whole sentence"),
    ("PART", "this week.", "full stop"),
    ("PART", " this week", "blanks"),
    ("SENTENCE", "You went out on Monday and came back " + "and went out again " * 4 + "then.", "a sentence is too long"),
    ("SENTENCE", "You walked. " * 10 + "You walked.", "characters are too long"),
    ("SENTENCE", "Physiological measurements necessitate considerable deliberation beforehand.", "too hard to read"),
    ("ADVICE", "investigate configuration irregularities using administrative utilities", "too hard to read"),
]
GOOD = [("SENTENCE", "You took 2 readings below the stairs."), ("PART", "blood pressure"),
        ("ADVICE", "press its button, as its manual says")]
# words, then the published grade of Flesch and Kincaid
PUBLISHED = [("The cat sat on the mat.", (1, 6, 6), -1.45),
             ("The Australian platypus is seemingly a hybrid of a mammal and reptilian creature.", (1, 13, 24), 11.3)]
# a C file, and is there something in it that belongs into the table?
SPEAKS = [
    ("gateway/news.c", 'static const char a[] = "You walked";', True),
    ("gateway/registry/registry.c", 'return refuse("Somebody " /* a b */\n\t"has it.");', True),
    ("gateway/pipeline_goals.c", 'char c = \'"\'; say("Whose is it?");', True),
    ("gateway/cli/goals_text.c", 'fprintf(out, "reached %zu time%s", n, s);', True),
    ("gateway/control/desk.c", 'puts("It is %" PRIu32 " on this device.\\n");', True),
    ("gateway/control/desk.c", 'puts("It took %u.");', True),
    ("gateway/goals/keys.c", 'say("Is it yes or no? Say it");', True),
    ("gateway/goals/keys.c", 'say("a number like 14 or 7.5 on monday ... sunday");', False),
    ("gateway/pipeline_goals.c", 'log_error("it cannot be read; stop. %s", strerror(-r)); // "A b."', False),
    ("gateway/registry/registry.c", '/* "Somebody has it." */ int a = b["key"];', False),
]
# what stops the build: rows of a language, and what check.cmake says of them
GAPS = 'WORD(ONE, SENTENCE, "number when")\nWORD(TWO, PART, "")\n'
WHOLE = 'SAY(ONE, "You walked {number} steps {when}.")\nSAY(TWO, "this week")\n'
STOPS = [
    (WHOLE.replace("{when}", "{whom}"), "has the holes"),
    (WHOLE.replace(" {when}", ""), "has the holes"),
    (WHOLE.replace("{when}", "{when"), "has the holes"),
    (WHOLE.replace("this week", "{number} weeks"), "has the holes"),
    (WHOLE + 'SAY(TWO, "today")\n', "is there twice"),
    (WHOLE + 'SAY(THREE, "today")\n', "does not have THREE"),
    (WHOLE.replace("SAY(TWO", "/* SAY(TWO").replace("week\")", "week\") */"), "TWO has no words"),
    (WHOLE.replace('"this week"', '""'), "not a row"),
]


def run(words, kind, text, source="", speaker="gateway/news.c"):
    with tempfile.TemporaryDirectory() as root:
        for folder in ("gateway/words", os.path.dirname(speaker)):
            os.makedirs(os.path.join(root, folder), exist_ok=True)
        for path, content in (("gateway/words/words.def", DEF.format(kind=kind)),
                              ("gateway/words/en.def", SAY.format(text=text)), (speaker, source)):
            with open(os.path.join(root, path), "w", encoding="utf-8") as stream:
                stream.write(content)
        result = subprocess.run([sys.executable, words, root], capture_output=True, text=True, check=False)
        return result.returncode, result.stdout


def check_published(words):
    spec = importlib.util.spec_from_file_location("words", words)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bad = 0
    for text, counts, grade in PUBLISHED:
        if module.counts(text) != counts or abs(module.grade(*module.counts(text)) - grade) > 0.05:
            print(f"not as published: {module.counts(text)} {module.grade(*module.counts(text))}: {text}")
            bad += 1
    return bad


def check_build(words):
    script = os.path.join(os.path.dirname(words), "../../gateway/words/check.cmake")
    bad = 0
    with tempfile.TemporaryDirectory() as root:
        names = os.path.join(root, "words.def")
        language = os.path.join(root, "en.def")
        with open(names, "w", encoding="utf-8") as stream:
            stream.write(GAPS)
        for text, expected in STOPS + [(WHOLE, "")]:
            with open(language, "w", encoding="utf-8") as stream:
                stream.write(text)
            result = subprocess.run(["cmake", f"-DWORDS={names}", f"-DLANGUAGE={language}", "-DWHOLE=ON", "-P", script],
                                    capture_output=True, text=True, check=False)
            said = " ".join(result.stderr.split())
            if (result.returncode != 0) != bool(expected) or expected not in said:
                print(f"the build does not stop for {expected!r}:\n{text}\n{said}")
                bad += 1
    return bad


def main():
    sys.dont_write_bytecode = True
    words = sys.argv[1]
    bad = check_published(words) + check_build(words)
    for kind, text, expected in BAD:
        code, output = run(words, kind, text)
        if code == 0 or expected not in output:
            print(f"not found: {expected!r} in {text!r}\n{output}")
            bad += 1
    for kind, text in GOOD:
        code, output = run(words, kind, text, 'static const char a[] = "walking"; /* "a b c" */\n')
        if code != 0:
            print(f"found something in {text!r}:\n{output}")
            bad += 1
    for speaker, source, found in SPEAKS:
        code, output = run(words, *GOOD[0], source + "\n", speaker)
        if (code != 0) != found or ("speaks outside" in output) != found:
            print(f"{'not found' if found else 'found for nothing'}: {speaker}: {source}\n{output}")
            bad += 1
    return 1 if bad else 0


sys.exit(main())
