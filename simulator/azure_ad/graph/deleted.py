"""The recycle bin: ``directory/deletedItems``."""

from __future__ import annotations

from simulator.azure_ad.graph.properties import describe, select
from simulator.azure_ad.graph.query import list_users
from simulator.azure_ad.graph.request import Request, no_content, not_found, on, show
from simulator.azure_ad.permissions import READ_USERS, RESTORE
from simulator.azure_ad.users import RECYCLE_BIN, CloudUser
from simulator.azure_ad.wire import Answer

_PATH = "/v1.0/directory/deletedItems"


@on("GET", f"{_PATH}/microsoft.graph.user", "deleted users, for 30 days", READ_USERS)
@on("GET", f"{_PATH}/graph.user", "the same by the short name of the type", READ_USERS)
def _list(request: Request) -> Answer:
    now = request.tenant.clock()
    return list_users(
        request,
        "/directory/deletedItems/microsoft.graph.user",
        lambda user: user.deleted_at is not None and now - user.deleted_at < RECYCLE_BIN,
    )


@on("GET", f"{_PATH}/{{id}}", "a deleted user; $select", READ_USERS)
def _show(request: Request, id: str) -> Answer:
    names = select(request.query("$select").get("$select"))
    return show("directoryObjects/$entity", _typed(_find(request, id), names))


@on("POST", f"{_PATH}/{{id}}/restore", "bring a user back", RESTORE)
def _restore(request: Request, id: str) -> Answer:
    request.body()
    user = _find(request, id)
    request.tenant.restore_user(user)
    return show("directoryObjects/$entity", _typed(user, select(None)))


@on("DELETE", f"{_PATH}/{{id}}", "for good", RESTORE)
def _purge(request: Request, id: str) -> Answer:
    request.tenant.users.forget(_find(request, id))
    return no_content()


def _find(request: Request, user_id: str) -> CloudUser:
    user = request.tenant.users.ever(user_id.lower())
    if user is None or user.deleted_at is None or request.tenant.clock() - user.deleted_at >= RECYCLE_BIN:
        raise not_found(user_id)
    return user


def _typed(user: CloudUser, names: object) -> dict[str, object]:
    return {"@odata.type": "#microsoft.graph.user", **describe(user, names)}  # type: ignore[arg-type]
