"""What a campaign has done so far, in a file: it can be stopped, and goes on where it stopped."""
import json
import os


class Ledger:
    """Numbers by the name of a campaign, whole on the disk after each add(); path None: nothing is kept."""

    def __init__(self, path):
        self.path, self.campaigns = path, {}
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                self.campaigns = json.load(stream)

    def of(self, campaign):
        return self.campaigns.setdefault(campaign, {})

    def add(self, campaign, numbers=None, findings=(), **replaced):
        """numbers are summed up, what is `replaced` is not"""
        entry = self.of(campaign)
        for name, number in (numbers or {}).items():
            entry[name] = round(entry.get(name, 0) + number, 1)
        entry.setdefault("findings", []).extend(findings)
        entry.update(replaced)
        self.save()

    def save(self):
        if not self.path:
            return
        new = self.path + ".new"
        with open(new, "w", encoding="utf-8") as stream:
            json.dump(self.campaigns, stream, indent=1)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, self.path)
