"""Who may do what, logins, keys of programs, and the audit trail of what was done."""

from .audit import MACHINES, Acting, AuditLog, AuditPage, AuditTrail
from .audit_records import AuditRecord, audit_csv, audit_json_lines
from .keys import OperationKey, OperationKeys, covers, new_operation_key
from .logins import LOG_IN, NO_ROLE, EndedLogins, RoleRules, actor_of, login_id
from .repeats import Repeats
from .roles import REQUIRED, Action, Actor, Role, allowed

__all__ = [
    "LOG_IN", "MACHINES", "NO_ROLE", "REQUIRED", "Acting", "Action", "Actor", "AuditLog", "AuditPage", "AuditRecord",
    "AuditTrail", "EndedLogins", "OperationKey", "OperationKeys", "Repeats", "Role", "RoleRules", "actor_of", "allowed",
    "audit_csv", "audit_json_lines", "covers", "login_id", "new_operation_key",
]  # fmt: skip
