"""How a table is written as text: its encoding, what parts its fields, and its decimal sign."""

import codecs
import csv
import io
import re
from collections import Counter
from pathlib import Path

import numpy as np

# A comma comes last: it may be within numbers and sentences that another sign parts.
DELIMITERS = ("\t", ";", "|", ",")
SAMPLE = 20_000
# A file of one column has no delimiter; this control character is in no text.
NO_DELIMITER = "\x1f"


def decoded(raw: bytes, path: Path) -> str:
    """Text of a file.

    Parameters
    ----------
    raw : bytes
        UTF-8, UTF-16 with its mark, or Windows-1252.
    path : Path
        For messages.

    Returns
    -------
    str
        Without a mark of the encoding, lines parted by a line feed.

    Raises
    ------
    ValueError
        When it is empty, binary, HTML, XML or JSON.

    """
    text = _decode(raw, path).lstrip("\ufeff")
    start = text[:200].lstrip()
    if not start and not text.strip():
        raise ValueError(f"{path} should be a table; found an empty file; leave it out")
    if re.match(r"<(!|\?xml|(html|head|body|table|div|svg|script)\b)", start, flags=re.IGNORECASE):
        raise ValueError(f"{path} should be a table; found HTML or XML; download the data, not the page around them")
    if re.match(r"[\[{]\s*([-\d\[{\"\]}]|$)", start):
        raise ValueError(f"{path} should be a table; found JSON; name the file .json")
    lines = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return lines.rstrip(" \n")


def delimiter_of(text: str) -> str:
    """What parts the fields: a sign that gives the first lines, header included, the same number of fields."""
    sample = text[:SAMPLE]
    if len(text) > SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    best, best_share = NO_DELIMITER, 0.5
    for delimiter in DELIMITERS:
        if delimiter not in sample:
            continue
        counts = [len(fields) for fields in csv.reader(io.StringIO(sample), delimiter=delimiter) if fields]
        usual, n_usual = Counter(counts).most_common(1)[0]
        share = n_usual / len(counts)
        # A title above the table, or lines that are cut, leave most of the lines alike.
        if usual > 1 and counts[0] == usual:
            share += 1
        if usual > 1 and share > best_share:
            best, best_share = delimiter, share
    return best


def ragged_line(text: str, delimiter: str, n_fields: int) -> tuple[int, int] | None:
    """Number from 1 of the first line with another number of fields, and that number; None when there is none.

    Blank lines do not count.
    """
    if '"' not in text:
        # As much as the reader would find, and several times faster.
        signs = np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)
        ends = np.append(np.flatnonzero(signs == ord("\n")), len(signs))
        parts = np.flatnonzero(signs == ord(delimiter))
        counts = np.diff(np.searchsorted(parts, ends), prepend=0) + 1
        blank = np.diff(ends, prepend=-1) == 1
        wrong = np.flatnonzero((counts != n_fields) & ~blank)
        return (int(wrong[0]) + 1, int(counts[wrong[0]])) if len(wrong) else None
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    for fields in reader:
        if fields and len(fields) != n_fields:
            return reader.line_num, len(fields)
    return None


def plain_numbers(text: str, delimiter: str) -> tuple[str, str]:
    """The text, without points that part thousands where commas are decimal signs, and the decimal sign."""
    if delimiter == "," or "," not in text:
        return text, "."
    sign = re.escape(delimiter)
    whole_field = rf'(?:^|(?<=["{sign}]))\s*[-+]?%s(?=\s*(?:["{sign}]|$))'
    commas, grouped, points = (
        len(re.findall(whole_field % number, text, flags=re.MULTILINE))
        for number in (r"\d+,\d+", r"\d{1,3}(?:\.\d{3})+,\d+", r"\d+\.\d+")
    )
    if grouped:
        field = re.compile(whole_field % r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", flags=re.MULTILINE)
        return field.sub(lambda found: found[0].replace(".", ""), text), ","
    return text, "," if commas > points else "."


def _decode(raw: bytes, path: Path) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif b"\0" in raw:
        encodings = []
    else:
        encodings = ["utf-8", "cp1252"]
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError(f"{path} should be text; found {raw[:8]!r}...; export it as CSV in UTF-8")
