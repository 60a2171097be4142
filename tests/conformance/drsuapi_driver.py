"""Speaks MS-DRSR to a Samba controller for tests: one JSON request per line in, one JSON answer per line out.

Run by the interpreter that Samba's bindings belong to, with smb.conf and the domain's DN as arguments. Requests:

    {"do": "rights", "account": NAME, "rights": [GUID]}       what the account may do on the domain, besides nothing
    {"do": "bind", "user": NAME, "password": TEXT}            -> {"session": N}
    {"do": "changes", "session": N, "cookie": [tmp, highest] or null, "attributes": [NAME] or null, "max": N,
     "object": GUID or null, "special": BOOL, "context": DN}  -> {"objects": [...], "more": BOOL, "cookie": [..], ...}

A refusal is {"error": Win32 code, "text": ...}.
"""

import json
import sys
import uuid

from samba import NTSTATUSError, WERRORError, credentials, net, param
from samba.auth import system_session
from samba.dcerpc import drsuapi, misc, security
from samba.drs_utils import drs_DsBind
from samba.ndr import ndr_unpack
from samba.samdb import SamDB
from samba.sd_utils import SDUtils

NAMES = (
    "unicodePwd",
    "pwdLastSet",
    "ntPwdHistory",
    "lmPwdHistory",
    "dBCSPwd",
    "supplementalCredentials",
    "instanceType",
    "isDeleted",
    "description",
    "sAMAccountName",
)
ATTIDS = {name: getattr(drsuapi, "DRSUAPI_ATTID_" + name) for name in NAMES}
NAME_OF = {attid: name for name, attid in ATTIDS.items()}
SECRETS = ("unicodePwd", "ntPwdHistory", "lmPwdHistory", "dBCSPwd", "supplementalCredentials")


class Driver:
    def __init__(self, configuration, base):
        self.lp = param.LoadParm()
        self.lp.load(configuration)
        self.base = base
        self.sessions = []
        self.samdb = SamDB(lp=self.lp, session_info=system_session(self.lp), flags=0)
        self.original = SDUtils(self.samdb).get_sd_as_sddl(self.base)

    def answer(self, request):
        try:
            return getattr(self, "do_" + request.pop("do"))(**request)
        except (WERRORError, NTSTATUSError) as problem:
            return {"error": problem.args[0] & 0xFFFFFFFF, "text": str(problem.args[1])}

    def do_rights(self, account, rights):
        found = self.samdb.search(self.base, expression=f"(sAMAccountName={account})", attrs=["objectSid"])
        sid = ndr_unpack(security.dom_sid, found[0]["objectSid"][0])
        aces = "".join(f"(OA;;CR;{right};;{sid})" for right in rights)
        head, sign, tail = self.original.partition("S:")
        SDUtils(self.samdb).modify_sd_on_dn(self.base, head + aces + sign + tail)
        return {}

    def do_bind(self, user, password):
        creds = credentials.Credentials()
        creds.guess(self.lp)
        creds.set_username(user)
        creds.set_password(password)
        creds.set_domain(self.lp.get("workgroup"))
        creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
        host = "127.0.0.1"
        interface = drsuapi.drsuapi(f"ncacn_ip_tcp:{host}[seal]", self.lp, creds)
        handle, _ = drs_DsBind(interface)
        self.sessions.append((interface, handle, net.Net(creds, self.lp, server=host)))
        return {"session": len(self.sessions) - 1}

    def do_changes(self, session, cookie, attributes, max, object, special, context):
        interface, handle, network = self.sessions[session]
        _, answer = interface.DsGetNCChanges(handle, 8, self.request(cookie, attributes, max, object, special, context))
        objects, entry = [], answer.first_object
        while entry is not None:
            objects.append(self.describe(interface, network, entry.object))
            entry = entry.next_object
        mark = answer.new_highwatermark
        return {
            "objects": objects,
            "more": bool(answer.more_data),
            "cookie": [mark.tmp_highest_usn, mark.highest_usn],
            "extended": answer.extended_ret,
        }

    def request(self, cookie, attributes, max, object, special, context):
        wanted = drsuapi.DsGetNCChangesRequest8()
        wanted.destination_dsa_guid = misc.GUID(str(uuid.UUID(int=9)))
        wanted.source_dsa_invocation_id = misc.GUID(self.samdb.get_invocation_id())
        wanted.naming_context = drsuapi.DsReplicaObjectIdentifier()
        if object:
            wanted.naming_context.guid = misc.GUID(object)
            wanted.naming_context.dn = ""
        else:
            wanted.naming_context.dn = context
        mark = drsuapi.DsReplicaHighWaterMark()
        mark.tmp_highest_usn, mark.highest_usn = cookie or (0, 0)
        mark.reserved_usn = 0
        wanted.highwatermark = mark
        wanted.uptodateness_vector = None
        wanted.replica_flags = drsuapi.DRSUAPI_DRS_INIT_SYNC | drsuapi.DRSUAPI_DRS_PER_SYNC
        wanted.replica_flags |= (
            drsuapi.DRSUAPI_DRS_SPECIAL_SECRET_PROCESSING if special else drsuapi.DRSUAPI_DRS_WRIT_REP
        )
        wanted.max_object_count = max
        wanted.max_ndr_size = 1 << 22
        wanted.extended_op = drsuapi.DRSUAPI_EXOP_REPL_OBJ if object else drsuapi.DRSUAPI_EXOP_NONE
        wanted.fsmo_info = 0
        if attributes is not None:
            attids = [ATTIDS[name] for name in attributes]
            partial = drsuapi.DsPartialAttributeSet()
            partial.version, partial.num_attids, partial.attids = 1, len(attids), attids
            wanted.partial_attribute_set = partial
        else:
            wanted.partial_attribute_set = None
        wanted.partial_attribute_set_ex = None
        wanted.mapping_ctr.num_mappings = 0
        wanted.mapping_ctr.mappings = None
        return wanted

    def describe(self, interface, network, found):
        identifier, attributes = found.identifier, {}
        rid = int(str(identifier.sid).rpartition("-")[2]) if str(identifier.sid).count("-") > 4 else 0
        for attribute in found.attribute_ctr.attributes:
            name = NAME_OF.get(attribute.attid)
            if name is None:
                continue
            values = attribute.value_ctr.values
            sizes = [len(value.blob) for value in values or ()]
            if name in SECRETS and values:
                network.replicate_decrypt(interface, attribute, rid)
            octets = [bytes(value.blob).hex() for value in attribute.value_ctr.values or ()]
            attributes[name] = {"values": octets, "sizes": sizes}
        return {"dn": identifier.dn, "guid": str(identifier.guid), "attributes": attributes}


def main():
    driver = Driver(*sys.argv[1:])
    for line in sys.stdin:
        print(json.dumps(driver.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
