"""The book: what SUMMARY.md names, where links lead, and which commands and flags there are."""

import html.parser
import pathlib
import re
import subprocess
import tempfile
import xml.dom.minidom

from report import NotRun, expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# Documents beside those of docs whose links are followed too.
OTHERS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "tests/clients/README.md", "tests/model/README.md", "deploy/monitoring/README.md"]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def without_code(text):
    """A text without its blocks and words of code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def expanded(path):
    """The text of a page, and the folder that its links are of: a page may be a document at the top of the repository."""
    text = path.read_text(encoding="utf-8")
    if taken_in := re.fullmatch(r"\{\{#include (.+)\}\}\n", text):
        path = (path.parent / taken_in[1]).resolve()
        text = path.read_text(encoding="utf-8")
    return text, path.parent


def anchors(text):
    """The anchors of a page's headings, as mdBook and code hosts make them."""
    made = {}
    found = set()
    for heading in re.findall(r"^#+ (.*?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", words))
        number = made.get(anchor, 0)
        made[anchor] = number + 1
        found.add(f"{anchor}-{number}" if number else anchor)
    return found


def broken(path):
    """Links of a page that lead nowhere."""
    text, folder = expanded(path)
    for target in LINK.findall(without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (folder / name).resolve() if name else path
        if not there.exists():
            yield target
        elif anchor and there.suffix == ".md" and anchor not in anchors(expanded(there)[0]):
            yield target


def summary():
    """Pages in their order."""
    return re.findall(r"^ *(?:- )?\[[^\]]+\]\(([^)]+)\)", (DOCS / "SUMMARY.md").read_text(encoding="utf-8"), re.M)


def run_pages(report):
    """Pages, links and pictures."""
    report.section("book")
    with report.case("SUMMARY.md names every page once"):
        there = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.name != "SUMMARY.md")
        expect(sorted(summary()), there, "pages")
    pages = [page for page in sorted(DOCS.rglob("*.md"))] + [ROOT / name for name in OTHERS]
    with report.case("every link and anchor leads somewhere"):
        expect({str(page.relative_to(ROOT)): found for page in pages if (found := list(broken(page)))}, {}, "links that lead nowhere")
    with report.case("a link that leads nowhere is found"):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text("# A heading: `one`\n\n[a](#a-heading-one) [b](#no) [c](gone.md) `[d](gone.md)` [e](page.md#two)\n", encoding="utf-8")
            expect(list(broken(page)), ["#no", "gone.md", "page.md#two"], "what was found")
    with report.case("pictures can be read, and each is shown"):
        shown = {name for page in pages for name in re.findall(r"!\[[^\]]+\]\(pictures/([^)]+)\)", page.read_text(encoding="utf-8"))}
        expect(sorted(picture.name for picture in (DOCS / "pictures").iterdir()), sorted(shown), "pictures")
        for picture in (DOCS / "pictures").iterdir():
            xml.dom.minidom.parse(str(picture))


class Page(html.parser.HTMLParser):
    """What a page of the book has for anchors, and leads to."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.targets = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if "id" in named:
            self.anchors.add(named["id"])
        if tag in ("a", "img") and (target := named.get("href") or named.get("src")):
            self.targets.append(target)


def run_built(report):
    """The book as mdBook makes it."""
    built = ROOT / "target/book"
    with report.case("mdBook builds it without a warning"):
        done = subprocess.run([DOCS / "build"], capture_output=True, text=True, timeout=300, check=False)
        expect(done.returncode, 0, f"status of docs/build: {done.stderr[-600:]}")
        expect([line for line in done.stderr.splitlines() if "WARN" in line or "ERROR" in line], [], "what it said")
        expect([page for page in summary() if not (built / page).with_suffix(".html").exists()], [], "pages that are missing")
    with report.case("every link of the built pages leads somewhere in the book"):
        pages = {path: Page(path) for path in built.rglob("*.html")}
        expect(len(pages) >= len(summary()), True, "whether there are pages")
        nowhere = []
        for path, page in pages.items():
            for target in page.targets:
                name, _, anchor = target.partition("#")
                if re.match(r"[a-z]+:", target) or path.name == "404.html":
                    continue
                there = (path.parent / name).resolve() if name else path
                if not there.exists() or (anchor and there in pages and anchor not in pages[there].anchors):
                    nowhere.append(f"{path.relative_to(built)}: {target}")
        expect(nowhere, [], "links that lead nowhere")


def known(binary):
    """The flags of each command, by its words; from the manual pages, which the program makes of itself."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([binary, "man", folder], check=True, timeout=60)
        pages = {path.stem: path.read_text(encoding="utf-8").replace("\\-", "-") for path in pathlib.Path(folder).glob("*.1")}
    return {tuple(words(name, pages)): set(re.findall(r"--[a-z][a-z0-9-]*", text.split(".SH OPTIONS")[-1])) for name, text in pages.items()}


def words(name, pages):
    """The words of a command, one of which may have a hyphen."""
    parts = name.split("-")
    said, at = [parts[0]], 1
    while at < len(parts):
        end = at + 1
        while "-".join(parts[:end]) not in pages:
            end += 1
        said.append("-".join(parts[at:end]))
        at = end
    return said


def unknown(line, commands):
    """What there is not of the commands of ours in a line."""
    # Only as the first word of a command: paths, users and services are called so too.
    for command in re.findall(r"(?:^|[;&|(]\s*|\bexec \S+ (?:-- )?|\s-- |\)\s|\$\(|=\S+ )ashlar((?: +[^\s;&|)`#]+)*)", line):
        said = command.split()
        path = ["ashlar"]
        while said and tuple([*path, said[0]]) in commands:
            path.append(said.pop(0))
        below = any(len(other) > len(path) and list(other[: len(path)]) == path for other in commands)
        if below and said and re.fullmatch(r"[a-z][a-z-]*", said[0]):
            yield f"{' '.join(path)} {said[0]}"
        for word in said:
            flag = word.split("=")[0]
            if re.fullmatch(r"--[a-z].*", flag) and flag not in commands[tuple(path)] | {"--help", "--version"}:
                yield f"{' '.join(path)} {flag}"


def run_commands(report, binary):
    """Commands and flags that documents name."""
    with report.case("every command and flag of ashlar in a document is the program's"):
        if not binary.exists():
            raise NotRun(f"{binary} is not there")
        commands = known(binary)
        found, seen = {}, 0
        for page in [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in OTHERS)]:
            text = page.read_text(encoding="utf-8")
            blocks = "\n".join(re.findall(r"^ *```sh\n(.*?)^ *```", text, re.M | re.S)).replace("\\\n", " ")
            # The name alone in a sentence is the product, or a user, or a command whose words follow.
            spans = [span for span in re.findall(r"`(ashlar [^`\n]+)`", text) if "..." not in span]
            for line in [*blocks.splitlines(), *spans]:
                seen += "ashlar" in line
                if wrong := list(unknown(line.strip(), commands)):
                    found.setdefault(str(page.relative_to(ROOT)), []).extend(wrong)
        expect(found, {}, "what there is not")
        expect(seen > 100, True, "whether commands were found")
    with report.case("a command and a flag that there are not are found"):
        if not binary.exists():
            raise NotRun(f"{binary} is not there")
        line = "docker compose exec worker ashlar admin states; ashlar admin disk list --datta x | ashlar server --region a ./data"
        expect(list(unknown(line, known(binary))), ["ashlar admin states", "ashlar admin disk list --datta"], "what was found")


def run(report, binary):
    """All of it."""
    run_pages(report)
    run_built(report)
    run_commands(report, binary)
