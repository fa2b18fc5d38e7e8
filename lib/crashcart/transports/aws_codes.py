"""What an error code of AWS means for who sent the call, as tables. Codes that are not listed are judged by their status."""

from __future__ import annotations

import re
from enum import StrEnum


class Fate(StrEnum):
    """What became of a call that came back with an error."""

    THROTTLED = "throttled"
    """Certainly not done; fewer requests are wanted."""
    BUSY = "busy"
    """Certainly not done; the resource is in a state that forbids it now."""
    AMBIGUOUS = "ambiguous"
    """May have taken effect."""
    EXPIRED = "expired"
    """Certainly not done; the credentials are over."""
    UNAUTHENTICATED = "unauthenticated"
    """Certainly not done; AWS does not know these credentials."""
    DENIED = "denied"
    """A final no: the credentials do not allow it."""
    NO_SUCH = "no such resource"
    """A final no: it is not there."""
    TERMINAL = "terminal"
    """A final no: the call is wrong, or a quota is used up."""


def _table(**codes: str) -> dict[str, Fate]:
    return {code: Fate[fate] for fate, listed in codes.items() for code in listed.split()}


ANYWHERE = _table(
    THROTTLED="""
        Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException
        TooManyRequestsException RequestLimitExceeded BandwidthLimitExceeded EC2ThrottledException SlowDown
        ProvisionedThroughputExceededException PriorRequestNotComplete""",
    BUSY="ResourceInUseException OperationInProgressException",
    AMBIGUOUS="InternalFailure InternalError InternalServerError ServiceUnavailable RequestTimeout RequestTimeoutException",
    EXPIRED="ExpiredToken ExpiredTokenException TokenRefreshRequired",
    UNAUTHENTICATED="""
        InvalidClientTokenId UnrecognizedClientException AuthFailure InvalidAccessKeyId InvalidToken SignatureDoesNotMatch
        InvalidSignatureException IncompleteSignature IncompleteSignatureException MissingAuthenticationToken
        MissingAuthenticationTokenException OptInRequired RequestExpired RequestTimeTooSkewed""",
    DENIED="""
        AccessDenied AccessDeniedException AccessDeniedFault UnauthorizedOperation Client.UnauthorizedOperation
        NotAuthorized AuthorizationError UnauthorizedAccess""",
    NO_SUCH="ResourceNotFoundException ResourceNotFoundFault NoSuchEntity NotFoundException",
    TERMINAL="""
        ValidationError ValidationException InvalidParameterValue InvalidParameterCombination InvalidAction InvalidRequest
        LimitExceededException LimitExceeded SubscriptionRequiredException ServiceQuotaExceededException""",
)

OF_SERVICE = {
    "rds": _table(
        BUSY="""
            InvalidDBClusterStateFault InvalidDBInstanceState InvalidDBInstanceStateFault InvalidGlobalClusterStateFault
            InvalidDBSnapshotState InvalidDBClusterSnapshotStateFault""",
        NO_SUCH="DBClusterNotFoundFault DBInstanceNotFound DBInstanceNotFoundFault DBSnapshotNotFound",
        TERMINAL="InsufficientDBInstanceCapacity InsufficientDBClusterCapacityFault KMSKeyNotAccessibleFault",
    ),
    "elasticache": _table(
        BUSY="InvalidReplicationGroupState InvalidCacheClusterState InvalidGlobalReplicationGroupState",
        NO_SUCH="ReplicationGroupNotFoundFault CacheClusterNotFound NodeGroupNotFoundFault",
        TERMINAL="APICallRateForCustomerExceeded TestFailoverNotAvailableFault InsufficientCacheClusterCapacity",
    ),
    "autoscaling": _table(
        # Two of them come with status 500, and still say that nothing was done.
        BUSY="ScalingActivityInProgress ResourceContention InstanceRefreshInProgress IdempotentCallInProgress",
        NO_SUCH="ActiveInstanceRefreshNotFound",
        TERMINAL="ResourceInUse",
    ),
    "elbv2": _table(
        NO_SUCH="TargetGroupNotFound LoadBalancerNotFound ListenerNotFound RuleNotFound",
        TERMINAL="InvalidTarget TooManyTargets PriorityInUse ResourceInUse InsufficientCapacity",
    ),
    "ec2": _table(
        BUSY="IncorrectState IncorrectInstanceState",
        NO_SUCH="InvalidInstanceID.NotFound InvalidGroup.NotFound InvalidSnapshot.NotFound InvalidVolume.NotFound",
        TERMINAL="InsufficientInstanceCapacity InstanceLimitExceeded DryRunOperation InvalidInstanceID.Malformed",
    ),
    "ecs": _table(
        BUSY="UpdateInProgressException",
        NO_SUCH="ServiceNotFoundException ClusterNotFoundException",
        TERMINAL="ServiceNotActiveException",
    ),
    "dynamodb": _table(
        BUSY="TransactionConflictException TransactionInProgressException",
        TERMINAL="ConditionalCheckFailedException",
    ),
    "logs": _table(THROTTLED="LimitExceededException"),
    "s3": _table(
        BUSY="OperationAborted ConditionalRequestConflict",
        NO_SUCH="NoSuchBucket NoSuchKey NoSuchVersion NoSuchUpload 404",
        DENIED="403",
        TERMINAL="PreconditionFailed ObjectLockConfigurationNotFoundError",
    ),
}
"""What one service means by a code; stronger than ``ANYWHERE``."""

HINTS = {
    "APICallRateForCustomerExceeded": (
        "AWS's quota of such calls is used up for up to 24 hours: trying again before does not help"
    ),
}
"""What helps against a code, where its own words do not say it."""

BY_TEXT = (
    ("autoscaling", "ValidationError", "not found", Fate.NO_SUCH),
    ("rds", "InvalidParameterValue", "DBInstance not found", Fate.NO_SUCH),
)
"""Codes that mean several things, told apart by a piece of their message."""

_ABSENT = re.compile(r"NotFound(Fault|Exception|Error)?$")


def fate_of(service: str, code: str, status: int, message: str = "") -> Fate:
    """Judge an error answer by service, code, HTTP status and, where the code alone says too little, its message."""
    for owner, ambiguous, piece, fate in BY_TEXT:
        if (owner, ambiguous) == (service, code) and piece in message:
            return fate
    known = OF_SERVICE.get(service, {}).get(code) or ANYWHERE.get(code)
    if known:
        return known
    if status == 429:
        return Fate.THROTTLED
    if status == 501:  # whoever answers has no such call, and will have none later
        return Fate.TERMINAL
    if 400 <= status < 500:
        return Fate.NO_SUCH if _ABSENT.search(code) else Fate.TERMINAL
    return Fate.AMBIGUOUS
