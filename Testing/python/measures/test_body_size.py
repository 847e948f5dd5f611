"""Body surface areas, and the units that people mix up."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mtctl.errors import MtctlError
from mtctl.measures.body_size import BodySize
from mtctl.measures.patients import read_patients


def test_the_body_surface_area_is_that_of_the_formula_that_is_named() -> None:
    assert BodySize(175, 80).area_m2 == pytest.approx(0.007184 * 175**0.725 * 80**0.425)
    assert BodySize(175, 80).area_m2 == pytest.approx(1.956, abs=0.001)
    assert BodySize(175, 80, "mosteller").area_m2 == pytest.approx(math.sqrt(175 * 80 / 3600))


@pytest.mark.parametrize(
    ("height", "weight", "words"),
    [
        (1.75, 80, "is this in metres\\? Give centimetres, 175"),
        (1750, 80, "is this in millimetres\\? Give centimetres, 175"),
        (175, 80_000, "is this in grams\\? Give kilograms, 80"),
        (17.5, 80, "a height of 17.5 cm cannot be a person's; give 40 to 250 cm"),
        (175, 0, "a weight of 0 kg cannot be a person's"),
        (175, -80, "a weight of -80 kg cannot be a person's"),
        (float("nan"), 80, "a height of nan cm"),
        (175, float("inf"), "a weight of inf kg"),
    ],
)
def test_other_units_and_sizes_of_nobody_are_refused_with_what_was_meant(
    height: float, weight: float, words: str
) -> None:
    with pytest.raises(MtctlError, match=words):
        BodySize(height, weight)


def test_an_unknown_formula_is_refused_with_those_there_are() -> None:
    with pytest.raises(MtctlError, match="take dubois or mosteller"):
        BodySize(175, 80, "haycock")


@pytest.mark.parametrize(
    "content",
    [
        b"case,height_cm,weight_kg\na,175.5,80\nb,,\n",
        b"\xef\xbb\xbfCase;Height_cm;Weight_kg\r\na;175,5;80\r\n",  # as Excel writes it in Europe
        b"weight_kg\tcase\theight_cm\tsex\n80\ta\t175.5\tf\n",
        "case\theight_cm\tweight_kg\r\na\t175,5\t80\r\n".encode("utf-16"),  # Excel's "Unicode text"
        "case;height_cm;weight_kg;gr\u00f6\u00dfe\na;175,5;80;\n".encode("cp1252"),
        b'\n\ncase,height_cm,weight_kg,remark\na,175.5,80,"two\nlines"\n',
    ],
)
def test_a_table_of_patients_is_read_as_spreadsheets_save_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "patients.csv").write_bytes(content)
    assert read_patients(tmp_path / "patients.csv", "dubois") == {"a": BodySize(175.5, 80.0)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no column 'case'"),
        (b"case,height,weight\n", "has no column 'height_cm'"),
        (b"case,height_cm,weight_kg\na,tall,80\n", "line 2 \\(a\\): height and weight have to be numbers"),
        (b"case,height_cm,weight_kg\na,1.75,80\n", "line 2 \\(a\\): .*is this in metres"),
        (b"case,height_cm,weight_kg\na,175,\n", "line 2 \\(a\\): height and weight have to be numbers"),
        (b"case,height_cm,weight_kg\na,175,80\na,176,80\n", "line 3: 'a' stands there twice"),
        (b"\xff\xfe\x00", "save it as CSV"),
        (b'case,height_cm,weight_kg\n"a\nb,170,70\n', "line 2: a quotation mark is never closed"),
        (b'case,height_cm,weight_kg,x\na,175,80,"' + b"x" * 140_000 + b'"\n', "line 2: field larger"),
        (b'case,height_cm,weight_kg\nb,170,70\n"c\nd",x,70\n', "line 4"),
    ],
)
def test_a_table_of_patients_that_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "patients.csv").write_bytes(content)
    with pytest.raises(MtctlError, match=words):
        read_patients(tmp_path / "patients.csv", "dubois")


def test_a_table_of_patients_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MtctlError, match=r"patients\.csv: cannot be read"):
        read_patients(tmp_path / "patients.csv", "dubois")
