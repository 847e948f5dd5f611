"""Elements of patient and study that the DICOM standard asks for together: made whole where possible, else left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_CREATURE = (
    "PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription", "PatientBreedCodeSequence",
    "BreedRegistrationSequence", "PatientSexNeutered", "ResponsiblePerson", "ResponsiblePersonRole",
    "ResponsibleOrganization", "StrainDescription", "StrainNomenclature", "StrainStockSequence",
    "StrainAdditionalInformation", "StrainCodeSequence", "GeneticModificationsSequence",
)  # fmt: skip

#: Of animals, what there must be wherever there is any of `_CREATURE`.
_ANIMAL = (*_CREATURE[2:7], "ResponsibleOrganization")

_TRIAL = ("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialSubjectID")
_TRIAL_MAY_BE_EMPTY = (
    "ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialTimePointID",
)  # fmt: skip

_CALENDAR = "PatientAlternativeCalendar"
_IN_CALENDAR = ("PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar")


def make_whole(data: Any) -> None:
    """Add to a pydicom data set what is missing beside other elements and may be empty; remove what stays in parts."""
    for element in list(data):
        if element.VR == "SQ" and not (
            element.value and all(_is_whole(element.keyword, item) for item in element.value)
        ):
            del data[element.tag]
    if any(name in data for name in _CREATURE) and not all(name in data for name in _ANIMAL):
        _remove(data, _CREATURE)
    if _CALENDAR not in data:
        _remove(data, _IN_CALENDAR)
    if data.get("PregnancyStatus") not in (1, 2, 3, 4):
        _remove(data, ("PregnancyStatus",))
    if data.get("PatientIdentityRemoved") == "YES" and not (
        data.get("DeidentificationMethod") or data.get("DeidentificationMethodCodeSequence")
    ):
        data.DeidentificationMethod = "not stated"
    _make_trial_whole(data)


def _make_trial_whole(data: Any) -> None:
    trial = [element for element in data if element.tag.group == 0x0012 and element.tag.element < 0x0060]
    if trial and all(data.get(name) for name in _TRIAL):
        for name in _TRIAL_MAY_BE_EMPTY:
            if name not in data:
                setattr(data, name, "")
        if not data.get("ClinicalTrialProtocolEthicsCommitteeName"):
            _remove(data, ("ClinicalTrialProtocolEthicsCommitteeApprovalNumber",))
    else:
        _remove(data, [element.keyword for element in trial])


def _is_whole(sequence: str, item: Any) -> bool:
    """Return whether the item of a sequence, and all that it holds, has what it must have."""
    if sequence.endswith("CodeSequence"):
        valued = any(item.get(name) for name in ("CodeValue", "LongCodeValue", "URNCodeValue"))
        named = item.get("CodeMeaning") and (item.get("CodingSchemeDesignator") or item.get("URNCodeValue"))
        if not (valued and named):
            return False
    elif sequence.startswith("Referenced") and "Photo" not in sequence:
        if not (item.get("ReferencedSOPClassUID") and item.get("ReferencedSOPInstanceUID")):
            return False
    elif sequence == "OtherPatientIDsSequence" and not item.get("TypeOfPatientID"):
        item.TypeOfPatientID = "TEXT"
    if not len(item) or (sequence == "OtherPatientIDsSequence" and not item.get("PatientID")):
        return False
    inner = [element for element in item if element.VR == "SQ"]
    return all(element.value and all(_is_whole(element.keyword, one) for one in element.value) for element in inner)


def _remove(data: Any, keywords: Iterable[str]) -> None:
    for keyword in keywords:
        if keyword in data:
            del data[keyword]
