"""SecureAgent: run code that nobody has reviewed in sandboxes that hold.

    from secureagent import Sandbox

    with Sandbox.create(runtime="python") as sb:
        print(sb.run_code("import math; math.pi").text)

`Sandbox` blocks, `AsyncSandbox` is for asyncio; both have the same methods. Timeouts are in
seconds.
"""

from ._aio.client import AsyncClient, AsyncKeys
from ._aio.contexts import AsyncContexts
from ._aio.executions import AsyncExecutions, AsyncExecutionStream, AsyncProcess
from ._aio.files import AsyncFiles, AsyncWatcher
from ._aio.ports import AsyncPorts
from ._aio.resources import AsyncPoolWatcher, AsyncProfiles, AsyncRuntimes, AsyncWarmPools
from ._aio.sandbox import AsyncSandbox
from ._aio.terminal import AsyncTerminal
from ._core.retry import RetryPolicy
from ._sync.client import Client, Keys
from ._sync.contexts import Contexts
from ._sync.executions import Executions, ExecutionStream, Process
from ._sync.files import Files, Watcher
from ._sync.ports import Ports
from ._sync.resources import PoolWatcher, Profiles, Runtimes, WarmPools
from ._sync.sandbox import Sandbox
from ._sync.terminal import Terminal
from ._version import __version__
from .errors import (
    AuthenticationError,
    CommandError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    ErrorDetail,
    ExecutionTimeoutError,
    InvalidRequestError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    PolicyDeniedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
    SecureAgentError,
    ServerError,
    UnavailableError,
)
from .models import (
    ApiKey,
    Context,
    Event,
    ExecutionInfo,
    FileEntry,
    FileEvent,
    InstalledPackage,
    Lifecycle,
    Limits,
    Metrics,
    Port,
    SandboxInfo,
    SignedUrl,
)
from .resources import Condition, PoolEvent, PoolScale, PoolStatus, Profile, Runtime, WarmPool
from .results import Chunk, Execution, ExecutionError, Result, Usage

__all__ = [
    "ApiKey",
    "AsyncClient",
    "AsyncContexts",
    "AsyncExecutionStream",
    "AsyncExecutions",
    "AsyncFiles",
    "AsyncKeys",
    "AsyncPoolWatcher",
    "AsyncPorts",
    "AsyncProcess",
    "AsyncProfiles",
    "AsyncRuntimes",
    "AsyncSandbox",
    "AsyncTerminal",
    "AsyncWarmPools",
    "AsyncWatcher",
    "AuthenticationError",
    "Chunk",
    "Client",
    "CommandError",
    "Condition",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "Context",
    "Contexts",
    "ErrorDetail",
    "Event",
    "Execution",
    "ExecutionError",
    "ExecutionInfo",
    "ExecutionStream",
    "ExecutionTimeoutError",
    "Executions",
    "FileEntry",
    "FileEvent",
    "Files",
    "InstalledPackage",
    "InvalidRequestError",
    "Keys",
    "Lifecycle",
    "Limits",
    "Metrics",
    "NotFoundError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PolicyDeniedError",
    "PoolEvent",
    "PoolScale",
    "PoolStatus",
    "PoolWatcher",
    "Port",
    "Ports",
    "Process",
    "Profile",
    "Profiles",
    "ProtocolError",
    "QuotaExceededError",
    "RateLimitError",
    "RequestTimeoutError",
    "Result",
    "RetryPolicy",
    "Runtime",
    "Runtimes",
    "Sandbox",
    "SandboxInfo",
    "SecureAgentError",
    "ServerError",
    "SignedUrl",
    "Terminal",
    "UnavailableError",
    "Usage",
    "WarmPool",
    "WarmPools",
    "Watcher",
    "__version__",
]
