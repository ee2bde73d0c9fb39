"""A folder of rules that a test writes, which denies and changes what a sandbox's labels ask for."""
import pathlib
import shutil
import tempfile

EXECUTE = """
-- A label says what is denied, or limited.
return {
  name = "t-execute", version = 1, point = "execute",
  decide = function(input)
    local wish = input.sandbox.labels.execute
    if wish == "all" or wish == input.kind then
      return { verdict = "deny", rule = "kind", reason = "no " .. input.kind .. " here" }
    end
    if input.program == "forbidden" or contains(input.code or "", "forbidden") then
      return { verdict = "deny", rule = "word", reason = "that word again" }
    end
    if wish == "limits" then
      return { verdict = "allow", changes = { timeoutMs = 700, openFiles = 33 } }
    end
  end,
}
"""
FILES = """
return {
  name = "t-files", version = 1, point = "files",
  decide = function(input)
    local wish = input.sandbox.labels.files
    if wish == "all" or wish == input.operation then
      return { verdict = "deny", rule = "operation", reason = "no " .. input.operation .. " here" }
    end
    if input.recursive and path_under(input.path, "/workspace/secret") then
      return { verdict = "deny", rule = "below", reason = "there is a secret below" }
    end
    if path_under("/workspace/secret", input.path) or (input.to and path_under("/workspace/secret", input.to)) then
      return { verdict = "deny", rule = "secret", reason = "that is secret" }
    end
  end,
}
"""
PACKAGES = """
return {
  name = "t-packages", version = 1, point = "packages",
  decide = function(input)
    if input.name == "evil-thing" or input.sandbox.labels.packages == "all" then
      return { verdict = "deny", rule = "name", reason = input.manager .. " " .. input.name .. " " .. (input.version or "any") }
    end
  end,
}
"""
ADMISSION = """
return {
  name = "t-admission", version = 1, point = "admission",
  decide = function(input)
    local old = input.old and input.old.metadata.labels or {}
    local labels = input.object.metadata.labels or {}
    if labels.admission == input.operation or old.admission == input.operation then
      return { verdict = "deny", rule = "operation", reason = "no " .. input.operation .. " here" }
    end
    if labels.admission == "change" then
      return { verdict = "allow", changes = { metadata = { labels = { added = "yes" } },
        spec = { timeout = 77, resources = { memory = "64Mi" }, env = { GIVEN = "by a rule" } },
        status = { phase = "Failed" } } }
    end
    if labels.admission == "nonsense" then
      return { verdict = "allow", changes = { spec = { timeout = "soon" } } }
    end
  end,
}
"""
LIFECYCLE = """
return {
  name = "t-lifecycle", version = 1, point = "lifecycle",
  decide = function(input)
    if input.sandbox.labels.lifecycle == "extend" and input.extensions < 2 then
      return { verdict = "decide", rule = "more", reason = "it may go on", changes = { action = "extend", extendSeconds = 1 } }
    end
  end,
}
"""
ALL = {"t-execute": EXECUTE, "t-files": FILES, "t-packages": PACKAGES, "t-admission": ADMISSION,
       "t-lifecycle": LIFECYCLE}


class Rules:
    """An operator's folder, readable by the server's user."""

    def __init__(self, rules=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="secureagent-rules-"))
        self.folder.chmod(0o755)
        (self.folder / "policies").mkdir()
        for name, text in (ALL if rules is None else rules).items():
            self.write(name, text)

    def path(self, name):
        return self.folder / "policies" / f"{name}.lua"

    def write(self, name, text):
        """As an editor does: a new file takes the old one's place."""
        new = self.path("." + name)
        new.write_text(text)
        new.rename(self.path(name))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.folder, ignore_errors=True)


def execute_rule(reason, condition="true", name="t-execute"):
    """Denies what `condition` says."""
    return f"""
return {{
  name = "{name}", version = 1, point = "execute",
  decide = function(input)
    if {condition} then return {{ verdict = "deny", rule = "r", reason = "{reason}" }} end
  end,
}}
"""
