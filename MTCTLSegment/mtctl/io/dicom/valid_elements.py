"""Data elements of a source as the DICOM standard allows them; scanners and anonymisers often write others.

What can be said in a valid way is said so (a date with dashes, a sex in words, a name in the wrong character set); what
cannot is left out. Nothing is shortened that tells one patient or study from another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, MutableSequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mtctl.io.dicom.whole_groups import make_whole

#: What must be there, if empty (type 2): highdicom takes all of them from the source.
MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
    "StudyTime", "ReferringPhysicianName",
)  # fmt: skip

# Half of one would be another one's.
_IDENTIFIERS = ("PatientID", "AccessionNumber", "StudyID", "IssuerOfPatientID", "AdmissionID", "ServiceEpisodeID")

_LENGTHS = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "ST": 1024, "LT": 10240}
_WITH_CHARACTER_SET = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
_ONE_TEXT = ("LT", "ST", "UR", "UT")  # a backslash does not part values there
_NUMBERS = ("FD", "FL", "SL", "SS", "UL", "US")

_CHOICES = {
    "PatientSex": ("M", "F", "O"),
    "PatientSexNeutered": ("ALTERED", "UNALTERED"),
    "PatientIdentityRemoved": ("YES", "NO"),
    "QualityControlSubject": ("YES", "NO"),
    "SmokingStatus": ("YES", "NO", "UNKNOWN"),
    "TypeOfPatientID": ("TEXT", "RFID", "BARCODE"),
    "LossyImageCompression": ("00", "01"),
}
_WORDS = {"MALE": "M", "MAN": "M", "FEMALE": "F", "WOMAN": "F", "OTHER": "O"}

_DATE = re.compile(r"(\d{4})([-./]?)(\d\d)\2(\d\d)")
_TIME = re.compile(r"([01]\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d)(?:\.(\d{1,6})\d*)?)?)?")
_DATE_TIME = re.compile(r"(\d{8})(\d\d[\d.]*)(?:[+-]\d{4})?")
_AGE = re.compile(r"(\d{1,3}) ?([DWMY])", re.IGNORECASE)
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_CONTROL_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]+")  # long texts have lines


@dataclass(frozen=True)
class ValidElements:
    """The data elements of a source that DICOM results may take over.

    Attributes:
        data: A pydicom data set with them; those of `MAY_BE_EMPTY` are all there.
        mended: Keywords of those of patient and study that were not valid: said in another way, or left out. The
            character set is among them where texts were not written in the one that the source names.
    """

    data: Any
    mended: tuple[str, ...]


def valid_elements(source: Any) -> ValidElements:
    """Return the standard elements of a pydicom data set with valid values, without pixels, frames and private ones."""
    import pydicom

    texts = _Texts(source)
    data, mended = _valid(source, texts)
    for name in MAY_BE_EMPTY:
        if name not in data:
            setattr(data, name, "")
    make_whole(data)
    _set_character_set(source, data)
    told = [name for name in mended if name in MAY_BE_EMPTY or pydicom.tag.Tag(name).group in (0x10, 0x12)]
    return ValidElements(data, tuple(told) + ("SpecificCharacterSet",) * texts.guessed)


def is_uid(text: str) -> bool:
    """Return whether a text is a valid UID."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def text_of(source: Any, keyword: str) -> str:
    """Return the text of an element as the file has it, whatever its VR; "" where there is none.

    Only for what has no character set of its own: UIDs, numbers, codes.
    """
    import pydicom

    try:
        return _plain(source.get_item(pydicom.datadict.tag_for_keyword(keyword)))
    except Exception:  # Whatever pydicom makes of a damaged element.
        return ""


def _valid(source: Any, texts: _Texts) -> tuple[Any, list[str]]:
    """Return the valid elements of a data set, and the keywords of those that were not."""
    import pydicom
    from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR, keyword_for_tag

    data, mended = pydicom.Dataset(), list[str]()
    for tag in list(source.keys()):
        keyword = keyword_for_tag(tag) if dictionary_has_tag(tag) else ""
        if not keyword or tag.group in (0x0002, 0x5200, 0x7FE0) or keyword == "SpecificCharacterSet":
            continue
        vr = dictionary_VR(tag)
        try:
            if vr == "SQ":
                value: Any = _items(source[tag].value, texts)
            elif vr in _NUMBERS:
                value = source[tag].value
                pydicom.valuerep.validate_value(vr, value, pydicom.config.RAISE)
            elif vr in _RULES or vr in _LENGTHS or vr in _ONE_TEXT or vr == "UC":
                filed = texts.of(source.get_item(tag), vr)
                value = _text(keyword, vr, dictionary_VM(tag), filed)
                if value is None or value.replace(" ", "") != filed.replace(" ", ""):
                    mended.append(keyword)
            else:
                continue
            if value is not None:
                setattr(data, keyword, value)
        except Exception:  # Whatever pydicom makes of a damaged element; its message may hold the value.
            mended.append(keyword)
    return data, mended


def _items(items: Iterable[Any], texts: _Texts) -> Any:
    """Return the items of a sequence; None where one of them is not valid: half of a code would be another."""
    found = [_valid(item, texts) for item in items]
    return None if any(mended for _, mended in found) else [data for data, _ in found]


def _text(keyword: str, vr: str, multiplicity: str, text: str) -> str | None:
    """Return a value, or several parted by backslashes, as the standard allows it; None where it allows none."""
    if vr in _ONE_TEXT:
        return _CONTROL_IN_TEXT.sub(" ", text)[: _LENGTHS.get(vr, 1 << 16)]
    if multiplicity == "1" and "\\" in text:
        if keyword in _IDENTIFIERS or vr not in ("LO", "PN", "SH", "UC"):
            return None
        text = text.replace("\\", "/")
    parts = [_part(keyword, vr, part.strip(" ")) for part in text.split("\\")]
    return None if None in parts else "\\".join(part or "" for part in parts)


def _part(keyword: str, vr: str, text: str) -> str | None:
    if not text:
        return ""
    if keyword in _CHOICES:
        text = _WORDS.get(text.upper(), text.upper())
        return text if text in _CHOICES[keyword] else None
    if vr in _RULES:
        return _RULES[vr](text)
    text = _CONTROL.sub(" ", text).strip(" ")
    length = _LENGTHS.get(vr)
    if length and len(text) > length:
        return None if keyword in _IDENTIFIERS else text[:length].strip(" ")
    return text


def _date(text: str) -> str | None:
    found = _DATE.fullmatch(text)
    if not found:
        return None
    try:
        return datetime(int(found[1]), int(found[3]), int(found[4])).strftime("%Y%m%d").zfill(8)
    except ValueError:
        return None


def _time(text: str) -> str | None:
    found = _TIME.fullmatch(text)
    if not found:
        return None
    hours, minutes, seconds, fraction = found.groups()
    return hours + (minutes or "") + (seconds or "") + (f".{fraction}" if fraction else "")


def _date_time(text: str) -> str | None:
    found = _DATE_TIME.fullmatch(text)
    return text if found and _date(found[1]) and _time(found[2]) else None


def _age(text: str) -> str | None:
    found = _AGE.fullmatch(text)
    return found[1].zfill(3) + found[2].upper() if found else None


def _code(text: str) -> str | None:
    text = text.upper()
    return text if len(text) <= 16 and re.fullmatch(r"[A-Z0-9_ ]+", text) else None


def _uid(text: str) -> str | None:
    return text if is_uid(text) else None


def _whole(text: str) -> str | None:
    return text if re.fullmatch(r"[+-]?\d{1,11}", text) and -(2**31) <= int(text) < 2**31 else None


def _decimal(text: str) -> str | None:
    from pydicom.valuerep import format_number_as_ds

    try:
        value = float(text) if re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?\d+)?", text) else math.nan
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return text if len(text) <= 16 else format_number_as_ds(value)


def _name(text: str) -> str:
    """Return a person's name: three groups of up to 64 characters at most, of up to five components."""
    groups = []
    for group in _CONTROL.sub(" ", text).split("=")[:3]:
        components = group.split("^")
        group = "^".join([*components[:4], " ".join(components[4:])]) if len(components) > 5 else group
        groups.append(group[:64].strip(" "))
    return "=".join(groups)


_RULES: dict[str, Callable[[str], str | None]] = {
    "AS": _age, "CS": _code, "DA": _date, "DS": _decimal, "DT": _date_time, "IS": _whole, "PN": _name, "TM": _time,
    "UI": _uid,
}  # fmt: skip


class _Texts:
    """Texts of a data set, in the character set that it names or, where it names none that fits, in a likely one."""

    def __init__(self, source: Any) -> None:
        self._encodings = _encodings(text_of(source, "SpecificCharacterSet"))
        self.guessed = False

    def of(self, element: Any, vr: str) -> str:
        """Return the text of an element as it stands in the file, or as pydicom has it already."""
        if vr not in _WITH_CHARACTER_SET or not isinstance(element.value, bytes):
            return _plain(element)
        raw = element.value.rstrip(b"\0 ")
        if b"\x1b" in raw:
            from pydicom.charset import decode_bytes

            text = str(decode_bytes(raw, self._encodings or ["iso8859"], set(b"\r\n\t\f\\^=")))
            if "\ufffd" not in text and "\x1b" not in text:
                return text
        if raw.isascii():
            return raw.decode("ascii")
        try:
            # pydicom's name for the default repertoire, which knows ASCII only, reads Latin-1.
            return raw.decode("ascii" if self._encodings[0] == "iso8859" else self._encodings[0])
        except (IndexError, LookupError, UnicodeDecodeError):
            self.guessed = True
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")


def _encodings(character_set: str) -> list[str]:
    """Return Python's names of a character set; none where it is not one of the standard's."""
    from pydicom.charset import convert_encodings, python_encoding

    names = [name.strip() for name in character_set.split("\\")]
    if not character_set.strip() or any(name not in python_encoding for name in names):
        return []
    return list(convert_encodings(names))


def _plain(element: Any) -> str:
    value = element.value
    if isinstance(value, bytes):
        return value.decode("latin-1").strip("\0 ")
    if value is None:
        return ""
    if isinstance(value, MutableSequence):
        return "\\".join(str(one) for one in value)
    return str(value).strip("\0 ")


def _set_character_set(source: Any, data: Any) -> None:
    """Keep the source's character set where it can write all texts; else take UTF-8."""
    filed = text_of(source, "SpecificCharacterSet")
    encodings = _encodings(filed)
    plain = len(encodings) == 1 and "2022" not in filed and filed != "ISO_IR 6"
    try:
        for element in data.iterall():
            if element.VR in _WITH_CHARACTER_SET:
                str(element.value).encode(encodings[0] if plain else "ascii")
    except UnicodeEncodeError:
        data.SpecificCharacterSet = "ISO_IR 192"
    else:
        if plain:
            data.SpecificCharacterSet = filed
