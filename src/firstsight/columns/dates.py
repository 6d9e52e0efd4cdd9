"""Dates from texts: the ways of writing them that are tried, and what is taken from a date."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SECONDS_A_DAY = 86_400
TRIED_LABELS = 200
TIMES = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
# Month first before day first where both can be; two digits of a year last.
DAYS = (
    "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y", "%d %b %Y", "%d %B %Y",
    "%d. %B %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%y",
)  # fmt: skip
DATE_FORMATS = ("ISO8601", *(day + time for day in DAYS for time in TIMES), "%H:%M:%S", "%H:%M")


def best_format(labels: list[str], weights: NDArray[np.int64]) -> tuple[str, str, float]:
    """The way of writing dates that fits most rows.

    Parameters
    ----------
    labels : list of str
        Distinct texts.
    weights : ndarray of shape (n_labels,)
        How many rows have each.

    Returns
    -------
    tuple of str, str and float
        The format, as of ``strptime`` or ``ISO8601``; another that fits as many rows but says other dates, or
        nothing; and the share of the rows that are dates, 0 when there is no such format.

    """
    tried = labels[:TRIED_LABELS]
    if not any(letter.isdigit() for label in tried for letter in label):
        return "", "", 0.0
    # Dates that pandas knew as such are ISO 8601 and may come with others, so few are enough to be tried.
    likely = [form for form in DATE_FORMATS if np.mean(~np.isnan(label_days(tried, form))) > 0.3]
    read = {form: label_days(labels, form, iso=True) for form in likely}
    shares = {form: float(weights[~np.isnan(days)].sum() / weights.sum()) for form, days in read.items()}
    best = max(likely, key=shares.__getitem__, default=None)  # the first of those that are equal
    if best is None:
        return "", "", 0.0
    rivals = [
        form
        for form in likely
        if shares[form] == shares[best] and not np.array_equal(read[form], read[best], equal_nan=True)
    ]
    return best, rivals[0] if rivals else "", shares[best]


def label_days(labels: list[str], date_format: str, *, iso: bool = False) -> NDArray[np.float64]:
    """Days since 1970-01-01 UTC of texts, NaN for what is no date of the years 1 to 9999; shape (n_labels,).

    With ``iso`` what is not in the format is read as ISO 8601.
    """
    if iso and date_format != "ISO8601":
        days = label_days(labels, date_format)
        return np.where(np.isnan(days), label_days(labels, "ISO8601"), days)
    # A plain number, such as 2024, would be read as a date of ISO 8601.
    dates = [None if _looks_plain(label) else label for label in labels]
    parsed = pd.to_datetime(pd.Series(dates, dtype=object), format=date_format, errors="coerce", utc=True)
    stamps = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    missing = np.isnat(stamps)
    days = stamps.astype(np.int64) / (SECONDS_A_DAY * 1e6)
    first, last = (np.datetime64(date, "D").astype(np.int64) for date in ("0001-01-01", "9999-12-31"))
    return np.where(missing | (days < first) | (days > last + 1), np.nan, days)


def date_parts(days: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Year, month, day, weekday (0 is Monday) and hour of finite days since 1970-01-01; each of shape (n_rows,)."""
    dates = pd.DatetimeIndex((days * SECONDS_A_DAY).round().astype("datetime64[s]"))
    return {
        "year": dates.year.to_numpy(np.float64),
        "month": dates.month.to_numpy(np.float64),
        "day": dates.day.to_numpy(np.float64),
        "weekday": dates.day_of_week.to_numpy(np.float64),
        "hour": dates.hour.to_numpy(np.float64),
    }


def _looks_plain(label: str) -> bool:
    return not any(sign in label for sign in "-/.: ") or label[:1] in "+-"
