"""A preprocessor of mdBook. Takes in the documents that are kept at the top of the repository, and makes names of files out of
links to what is not part of the book, since nothing is there in the book for them to lead to."""

import json
import os
import pathlib
import re
import sys

DOCS = pathlib.Path(__file__).resolve().parent
ROOT = DOCS.parent
INCLUDE = re.compile(r"\{\{#include ((?:\.\./)+[A-Z]+\.md)\}\}")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")


def chapters(items):
    """All chapters of a book, those below others too."""
    for item in items:
        if isinstance(item, dict) and "Chapter" in item:
            chapter = item["Chapter"]
            yield chapter
            yield from chapters(chapter["sub_items"])


def rewritten(text, folder, chapter_folder, pages):
    """A text of `folder`, with links as they lead from `chapter_folder`."""
    def one(link):
        words, target = link[1], link[2]
        if re.match(r"[a-z]+:|#", target):
            return link[0]
        path, _, anchor = target.partition("#")
        found = (folder / path).resolve()
        if found in pages:
            there = os.path.relpath(found, chapter_folder)
            return f"[{words}]({there}{'#' + anchor if anchor else ''})"
        name = found.relative_to(ROOT)
        return f"{words} (`{name}`)" if words.strip("`") != str(name) else f"`{name}`"

    return LINK.sub(one, text)


def main():
    """Reads the book and writes it."""
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    items = book["items"] if "items" in book else book["sections"]
    every = [chapter for chapter in chapters(items) if chapter["path"]]
    # Documents at the top are pages under the names of those that take them in.
    pages = {(DOCS / chapter["source_path"]).resolve(): chapter for chapter in every}
    for chapter in every:
        folder = (DOCS / chapter["source_path"]).parent
        taken_in = INCLUDE.match(chapter["content"])
        if taken_in:
            source = (folder / taken_in[1]).resolve()
            chapter["content"] = rewritten(source.read_text(encoding="utf-8"), source.parent, folder, pages)
        else:
            chapter["content"] = rewritten(chapter["content"], folder, folder, pages)
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
