#!/usr/bin/env python3
"""Reads every sentence of gateway/words as a person would: can a child of 9 to 11 read it, is it
short, is it kind, and is there none anywhere else?

usage: words.py SOURCE_FOLDER     prints what is wrong; exit status 1 if anything is

Reading age: the grade of Flesch and Kincaid, 0.39 words/sentences + 11.8 syllables/words - 15.59;
a child of grade G is G + 5 or G + 6 years old. It was made for whole pages: a language as a whole has
to stay under PAGE_GRADE, and each text of some words under TEXT_GRADE. Of languages other than
English the length and the form are looked at.
"""
import glob
import os
import re
import sys

PAGE_GRADE = 4.0   # age 9 to 10, over all sentences
TEXT_GRADE = 6.5   # age 11 to 12: one hard word ("encrypted") in a short text
SCORED_WORDS = 6   # fewer of them say nothing
SENTENCE_WORDS = 16
TEXT_CHARACTERS = 110

# domain.md section 2.4 and its like; whole words, or beginnings where a star stands
NEVER = """fail* missed only should must behind crush* streak* rank* better worse* forgot* forget* cheat*
 bad lazy lose lost danger* normal* alarm* warning* target* beat harder calor* fat obes* overweight
 comply complian* adheren* abnormal* risk* error* invalid wrong suffer* disorder* non-compliant
 sorry oops unfortunately patient* user* ! ?""".split()
# what a test may say in a hole
SAMPLES = {"number": "4200", "when": "this week", "goal": "walking", "days": "3 days", "device": "Their scale",
           "reference": "bcdf", "dates": "3", "from": "118", "to": "142", "unit": "mmHg"}
# their vowels mislead the count below
SYLLABLES = {"device": 2, "devices": 2, "version": 2, "people": 2, "sometimes": 2, "reading": 2,
             "readings": 2, "being": 2, "wellgate": 2, "wellgate-devices": 2, "minute": 2, "minutes": 2, "area": 3,
             "exercise": 3, "exercised": 3, "measurement": 3, "energy": 3, "certain": 2}
# these files speak to people: all that they say belongs into the table, parts of a line too
SPEAKERS = ["gateway/news.c", "gateway/import/goal_fhir.c", "gateway/goals/wording.c", "gateway/goals/home_bp.c",
            "gateway/goals/model.c", "gateway/goals/agreed.c", "gateway/registry/*.c", "gateway/pipeline_*.c",
            "gateway/cli/*_text.c"]
# and here at least no whole sentence stands: a few words are a key's format, or no text for people
SENTENCES = ["gateway/registry/*.c", "gateway/goals/*.c", "gateway/cli/*_text.c", "gateway/control/desk.c",
             "gateway/pipeline_*.c"]
# what C has, so that a string is found where it is one; adjacent strings are one
STRING = r'"(?:\\.|[^"\\\n])*"'
TOKEN = re.compile(rf"""(?P<skip>/\*.*?\*/ | //[^\n]* | '(?:\\.|[^'\\\n])+'
                        | \blog_\w+\s*\((?:{STRING}|[^;"])*\)\s*;)
                       | (?P<said>{STRING}(?:\s*(?:PRI\w+\s*)?{STRING})*)""", re.S | re.X)

problems = []


def rows(path, name):
    with open(path, encoding="utf-8") as stream:
        text = re.sub(r"/\*.*?\*/", "", stream.read(), flags=re.S)
    return re.findall(rf'^{name}\((\w+), +(?:(\w+), +)?"([^"]*)"\)', text, re.M)


def syllables(word):
    """Groups of vowels, without a silent e; numbers and marks are one."""
    word = word.lower().strip("-")
    if word in SYLLABLES:
        return SYLLABLES[word]
    if "-" in word:
        return sum(syllables(part) for part in word.split("-") if part)
    groups = len(re.findall(r"[aeiouy]+", word))
    if re.search(r"[^aeiouyl]e$|[^aeioudt]ed$|[^aeiouscxzgh]es$", word) and groups > 1:
        groups -= 1
    return max(groups, 1)


def counts(text):
    """sentences, words, syllables"""
    sentences = [s for s in re.split(r"[.!?]+(?:\s|$)|[:;]\s", text) if re.search(r"\w", s)]
    words = re.findall(r"[A-Za-z0-9'-]+", text)
    return len(sentences), len(words), sum(syllables(w) for w in words)


def grade(sentences, words, total):
    return 0.39 * words / sentences + 11.8 * total / words - 15.59


def says(text, never):
    if not never[0].isalpha():
        return never in text
    stem = re.escape(never.rstrip("*"))
    return re.search(rf"\b{stem}{'' if never.endswith('*') else chr(92) + 'b'}", text, re.I) is not None


def check_form(where, kind, text):
    if kind == "SENTENCE" and not (text[0].isupper() and text.endswith(".")):
        problems.append(f"{where}: not a whole sentence: {text}")
    if kind != "SENTENCE" and text.endswith("."):
        problems.append(f"{where}: a part ends with a full stop: {text}")
    if text != text.strip() or "  " in text:
        problems.append(f"{where}: blanks that nobody sees: {text}")
    if len(text) > TEXT_CHARACTERS:
        problems.append(f"{where}: {len(text)} characters are too long: {text}")
    for sentence in re.split(r"[.!?]+(?:\s|$)|[:;]\s", text):
        if len(sentence.split()) > SENTENCE_WORDS:
            problems.append(f"{where}: a sentence is too long: {sentence}")


def check_english(where, kind, text):
    # advice may name a key of the configuration in brackets, which are called what they are called
    said = re.sub(r"\([a-z_, ]+\)", "", text) if kind == "ADVICE" else text
    for never in NEVER:
        if says(said, never):
            problems.append(f"{where}: says {never}: {text}")
    n = counts(said)
    if kind != "PART" and n[1] >= SCORED_WORDS and grade(*n) > TEXT_GRADE:
        problems.append(f"{where}: too hard to read, grade {grade(*n):.1f}: {text}")


def check_language(path, kinds):
    total = [0, 0, 0]
    language = os.path.basename(path)
    for name, _, text in rows(path, "SAY"):
        for hole, sample in SAMPLES.items():
            text = text.replace("{" + hole + "}", sample)
        kind = kinds.get(name, "SENTENCE")
        check_form(f"{language}: {name}", kind, text)
        if language == "en.def":
            check_english(f"{language}: {name}", kind, text)
        if kind == "SENTENCE":
            total = [a + b for a, b in zip(total, counts(text))]
    if language == "en.def" and total[1]:
        print(f"{language}: {total[0]} sentences, {total[1] / total[0]:.1f} words each, "
              f"grade {grade(*total):.1f}")
        if grade(*total) > PAGE_GRADE:
            problems.append(f"{language}: as a whole too hard to read, grade {grade(*total):.1f}")


def strings(path):
    """what a C file says, outside comments and logs; line ends as blanks"""
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    for token in TOKEN.finditer(text):
        if token["said"]:
            said = re.sub(r'"\s*(?:PRI\w+\s*)?"', "", token["said"])[1:-1]
            yield re.sub(r"\\[nt]", " ", said)


def check_speakers(root):
    """No string with a blank between words, and no sentence: they have their place in the table."""
    two_words, sentence = r"[A-Za-z]{2,} +[A-Za-z]", r"\w[^\w\s]*\s+.*[\w)%][.?][\\\"')]*(?:\s|$)"
    for globs, pattern in ((SPEAKERS, two_words), (SENTENCES, sentence)):
        for path in sorted(p for g in globs for p in glob.glob(os.path.join(root, g))):
            for string in strings(path):
                if re.search(pattern, string):
                    problems.append(f"{os.path.relpath(path, root)}: speaks outside the table: {string}")


def main():
    root = sys.argv[1]
    folder = os.path.join(root, "gateway/words")
    kinds = {name: kind for name, kind, _ in rows(os.path.join(folder, "words.def"), "WORD")}
    if not kinds:
        problems.append("words.def: there is nothing in it")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".def") and name != "words.def":
            check_language(os.path.join(folder, name), kinds)
    check_speakers(root)
    for line in problems:
        print(line)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
