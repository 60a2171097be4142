"""LDAP result codes and diagnostic texts, in the words of the product.

A text begins with a Win32 code in eight hex digits, which is what clients read ([MS-ADTS] 3.1.1.3.1.9). The DSID names
a place in the server's source and means nothing to others; here it is the same for every error of a kind.
"""

from __future__ import annotations

from simulator.active_directory import schema_figures
from simulator.refusal import Refusal

SUCCESS, OPERATIONS_ERROR, PROTOCOL_ERROR, SIZE_LIMIT_EXCEEDED = 0, 1, 2, 4
REFERRAL, ADMIN_LIMIT_EXCEEDED = 10, 11
COMPARE_FALSE, COMPARE_TRUE, AUTH_METHOD_NOT_SUPPORTED, UNAVAILABLE_CRITICAL_EXTENSION = 5, 6, 7, 12
NO_SUCH_ATTRIBUTE, INAPPROPRIATE_MATCHING, CONSTRAINT_VIOLATION, ATTRIBUTE_OR_VALUE_EXISTS = 16, 18, 19, 20
INVALID_ATTRIBUTE_SYNTAX, NO_SUCH_OBJECT, INVALID_DN_SYNTAX, INVALID_CREDENTIALS = 21, 32, 34, 49
INSUFFICIENT_ACCESS_RIGHTS, UNAVAILABLE, UNWILLING_TO_PERFORM, NAMING_VIOLATION = 50, 52, 53, 64
OBJECT_CLASS_VIOLATION, NOT_ALLOWED_ON_NON_LEAF, NOT_ALLOWED_ON_RDN, ENTRY_ALREADY_EXISTS = 65, 66, 67, 68
OBJECT_CLASS_MODS_PROHIBITED, AFFECTS_MULTIPLE_DSAS, OTHER = 69, 71, 80

LOGON_CODES = {
    "no-such-user": "525",
    "wrong-password": "52e",
    "disabled": "533",
    "account-expired": "701",
    "logon-hours": "530",
    "workstation": "531",
    "ambiguous": "57",
    "expired": "532",
    "must-change": "773",
    "locked": "775",
}
"""Sub-codes of a refused bind."""

WIN32_OF_LOGON = {
    "no-such-user": 1326,
    "wrong-password": 1326,
    "disabled": 1331,
    "account-expired": 1793,
    "logon-hours": 1328,
    "workstation": 1329,
    "expired": 1330,
    "must-change": 1907,
    "locked": 1909,
}
"""Win32 codes of a refused logon, as replication's bind answers them. Whether a name exists is not told."""

PASSWORD_RESTRICTION, INVALID_PASSWORD = 0x52D, 0x56
ACCESS_DENIED, GENERAL_FAILURE, INVALID_PARAMETER = 0x5, 0x1F, 0x57
INVALID_ACCOUNT_NAME, USER_EXISTS, NO_SUCH_USER = 0x523, 0x524, 0x525
MEMBER_NOT_IN_GROUP, MEMBER_NOT_IN_ALIAS, MEMBER_IN_ALIAS, INVALID_MEMBER = 0x529, 0x561, 0x562, 0x56C
OBJ_CLASS_VIOLATION, CANT_ON_NON_LEAF, CANT_ON_RDN, CANT_MOD_OBJ_CLASS = 0x2014, 0x2015, 0x2016, 0x2017
NO_ATTRIBUTE, VALUE_EXISTS, SINGLE_VALUE, RANGE_CONSTRAINT = 0x2084, 0x2083, 0x2081, 0x2082
NO_VALUE, NAME_EXISTS, RDN_DOES_NOT_MATCH, ILLEGAL_OPERATION = 0x2085, 0x2071, 0x2073, 0x2077
CLASS_REQUIRED, MISSING_ATTRIBUTE, NOT_DEFINED_FOR_CLASS, ILLEGAL_SUPERIOR = 0x207B, 0x207C, 0x207D, 0x2099
CANT_ADD_SYSTEM_ONLY, CROSS_NC_RENAME, CANT_MOD_SYSTEM_ONLY, NAME_REFERENCE_INVALID = 0x20A6, 0x20B0, 0x20B1, 0x20B5
OWNED_BY_SAM, CANT_DELETE = 0x209A, 0x20CE
SECURITY_ILLEGAL_MODIFY, CONSTRUCTED_ATTRIBUTE, CANT_MOD_PRIMARY_GROUP = 0x20E7, 0x211B, 0x213A
INVALID_GROUP_TYPE, HAVE_PRIMARY_MEMBERS, CRITICAL_IN_TREE = 0x2141, 0x2149, 0x2170
SPN_NOT_UNIQUE, UPN_NOT_UNIQUE = 0x21C7, 0x21C8


class LdapError(Exception):
    """An operation's answer other than success: result code, diagnostic text, and the DN that was matched."""

    referrals: tuple[str, ...] = ()

    def __init__(self, code: int, text: str, matched: str = "") -> None:
        self.code = code
        self.text = text
        self.matched = matched
        super().__init__(f"{code}: {text}")


def bind_error(reason: str) -> LdapError:
    """invalidCredentials with the sub-code of a logon's outcome."""
    return LdapError(
        INVALID_CREDENTIALS,
        "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, "
        f"data {LOGON_CODES[reason]}, v1db1\x00",
    )


def no_object(matched: str, name: str = "") -> LdapError:
    """noSuchObject, with the deepest object that exists."""
    text = f"0000208D: NameErr: DSID-03100238, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'{matched}'\n\x00"
    return LdapError(NO_SUCH_OBJECT, text, matched)


def bad_dn(name: str) -> LdapError:
    """invalidDNSyntax."""
    return LdapError(
        INVALID_DN_SYNTAX,
        f"0000208F: NameErr: DSID-03100225, problem 2006 (BAD_NAME), data 8350, best match of:\n\t'{name}'\n\x00",
    )


def not_bound() -> LdapError:
    """What an anonymous client hears when it asks for more than the root."""
    return LdapError(
        OPERATIONS_ERROR,
        "00002020: LdapErr: DSID-0C090627, comment: In order to perform this operation a successful bind "
        "must be completed on the connection., data 0, v1db1\x00",
    )


def no_rights(win32: int = 0x2098) -> LdapError:
    """insufficientAccessRights; a reset without the right to it is ``ACCESS_DENIED``."""
    place = "031A1190" if win32 == ACCESS_DENIED else "03150BC1"
    return LdapError(
        INSUFFICIENT_ACCESS_RIGHTS,
        f"{win32:08X}: SecErr: DSID-{place}, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n\x00",
    )


def unwilling(win32: int = 0x2035) -> LdapError:
    """unwillingToPerform."""
    place = "031A12D2" if win32 in (GENERAL_FAILURE, PASSWORD_RESTRICTION) else "031A1262"
    return LdapError(
        UNWILLING_TO_PERFORM,
        f"{win32:08X}: SvcErr: DSID-{place}, problem 5003 (WILL_NOT_PERFORM), data 0\n\x00",
    )


def unprotected() -> LdapError:
    """What a write of a password over a connection in clear is answered with."""
    return unwilling(GENERAL_FAILURE)


def wrong_extension(control: str) -> LdapError:
    """unavailableCriticalExtension."""
    return LdapError(
        UNAVAILABLE_CRITICAL_EXTENSION,
        f"00002040: SvcErr: DSID-031401E7, problem 5010 (UNAVAIL_EXTENSION), data 0 ({control})\n\x00",
    )


_ATTRIBUTE_PROBLEMS = {
    NO_SUCH_ATTRIBUTE: "1001 (NO_ATTRIBUTE_OR_VAL)",
    INVALID_ATTRIBUTE_SYNTAX: "1002 (INVALID_ATT_SYNTAX)",
    CONSTRAINT_VIOLATION: "1005 (CONSTRAINT_ATT_TYPE)",
    ATTRIBUTE_OR_VALUE_EXISTS: "1006 (ATT_OR_VALUE_EXISTS)",
}


def attribute_error(code: int, win32: int, attribute: str) -> LdapError:
    """A complaint about an attribute's value; the server prints the attribute's number too ([MS-DRSR] 5.14)."""
    problem, figures = _ATTRIBUTE_PROBLEMS[code], schema_figures.attributes().get(attribute.lower())
    named = f"({attribute})" if figures is None else f"{figures.number:x} ({attribute})"
    return LdapError(
        code,
        f"{win32:08X}: AtrErr: DSID-03191083, #1:\n\t0: {win32:08X}: DSID-03191083, "
        f"problem {problem}, data 0, Att {named}\n\x00",
    )


_UPDATE_PROBLEMS = {
    NAMING_VIOLATION: "6001 (NAMING_VIOLATION)",
    OBJECT_CLASS_VIOLATION: "6002 (OBJ_CLASS_VIOLATION)",
    NOT_ALLOWED_ON_NON_LEAF: "6003 (CANT_ON_NON_LEAF)",
    NOT_ALLOWED_ON_RDN: "6004 (CANT_ON_RDN)",
    ENTRY_ALREADY_EXISTS: "6005 (ENTRY_EXISTS)",
    AFFECTS_MULTIPLE_DSAS: "6006 (AFFECTS_MULT_DSAS)",
    OBJECT_CLASS_MODS_PROHIBITED: "6007 (CANT_MOD_OBJ_CLASS)",
}


def update_error(code: int, win32: int) -> LdapError:
    """A complaint about an object's place or class."""
    problem = _UPDATE_PROBLEMS[code]
    return LdapError(code, f"{win32:08X}: UpdErr: DSID-031A11E2, problem {problem}, data 0\n\x00")


def invalid_argument(win32: int = INVALID_PARAMETER) -> LdapError:
    """other: what the accounts database does not take."""
    return LdapError(OTHER, f"{win32:08X}: SysErr: DSID-031A11FD, problem 22 (Invalid argument), data 0\n\x00")


def no_member() -> LdapError:
    """noSuchObject for somebody who is to become a member and is not there."""
    text = f"{NO_SUCH_USER:08X}: NameErr: DSID-031A1292, problem 2001 (NO_OBJECT), data 0, best match of:\n\t''\n\x00"
    return LdapError(NO_SUCH_OBJECT, text)


def unknown_attribute(name: str) -> LdapError:
    """noSuchAttribute for what the schema does not know."""
    return LdapError(
        NO_SUCH_ATTRIBUTE,
        "00000057: LdapErr: DSID-0C090D8A, comment: Error in attribute conversion operation, data 0, v1db1 "
        f"({name})\x00",
    )


def password_error(refusal: Refusal) -> LdapError:
    """A refused password over LDAP: one code for every rule, another for a wrong old password."""
    win32 = INVALID_PASSWORD if refusal.reason == "wrong-password" else PASSWORD_RESTRICTION
    return attribute_error(CONSTRAINT_VIOLATION, refusal.data.get("win32", win32), "unicodePwd")
