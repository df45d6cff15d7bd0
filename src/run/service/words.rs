//! The words that tell why a call failed. They stand in reports and journals, and stay as they are;
//! `docs/errors.md` lists them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares an enum of words: each one, its spelling, and all of them.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word as reports spell it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// A gRPC status code, by the name that the gRPC specification gives it.
    GrpcCode {
        /// No error. Told where an answer says nothing.
        Ok => "OK",
        /// The call was cancelled.
        Cancelled => "CANCELLED",
        /// An error without a code of its own.
        Unknown => "UNKNOWN",
        /// The request cannot be right, whatever the state of the service.
        InvalidArgument => "INVALID_ARGUMENT",
        /// The answer did not come in time.
        DeadlineExceeded => "DEADLINE_EXCEEDED",
        /// What the request names is not there.
        NotFound => "NOT_FOUND",
        /// What the request makes is there already.
        AlreadyExists => "ALREADY_EXISTS",
        /// The caller is known, and may not do this.
        PermissionDenied => "PERMISSION_DENIED",
        /// A limit was met.
        ResourceExhausted => "RESOURCE_EXHAUSTED",
        /// The request does not fit the state of the service.
        FailedPrecondition => "FAILED_PRECONDITION",
        /// The call met another one, and was given up.
        Aborted => "ABORTED",
        /// The request reaches past an end.
        OutOfRange => "OUT_OF_RANGE",
        /// The server has no such method.
        Unimplemented => "UNIMPLEMENTED",
        /// The service has a bug, or calls it one.
        Internal => "INTERNAL",
        /// The service cannot be asked just now.
        Unavailable => "UNAVAILABLE",
        /// Data are lost or damaged.
        DataLoss => "DATA_LOSS",
        /// The caller is not known.
        Unauthenticated => "UNAUTHENTICATED",
    }
}

words! {
    /// Why a call failed, more exactly than its gRPC code says.
    Reason {
        /// A run has the Workflow ID, and the policies say to leave it.
        WorkflowExists => "workflowExists",
        /// Something else is there already.
        AlreadyExists => "alreadyExists",
        /// There is no such namespace.
        NamespaceNotFound => "namespaceNotFound",
        /// There is no such run, or something else is not there.
        NotFound => "notFound",
        /// The service finds the request wrong.
        InvalidArgument => "invalidArgument",
        /// The namespace is in a state in which it takes no starts.
        NamespaceInvalidState => "namespaceInvalidState",
        /// The namespace is active in another cluster.
        NamespaceNotActive => "namespaceNotActive",
        /// The service does not work with this version of the program.
        ClientVersionNotSupported => "clientVersionNotSupported",
        /// The service finds itself too old or too new for this program.
        ServerVersionNotSupported => "serverVersionNotSupported",
        /// Something else that the request needs is not so, such as a pinned version.
        FailedPrecondition => "failedPrecondition",
        /// The request is larger than the server takes.
        MessageTooLarge => "messageTooLarge",
        /// More is asked of the service than a limit allows.
        Throttled => "throttled",
        /// The credentials do not allow it.
        PermissionDenied => "permissionDenied",
        /// Credentials are missing or wrong.
        Unauthenticated => "unauthenticated",
        /// The server has no such method.
        Unimplemented => "unimplemented",
        /// The answer did not come in time.
        DeadlineExceeded => "deadlineExceeded",
        /// The service says that the call was cancelled.
        Cancelled => "cancelled",
        /// The connection was lost before the answer was whole.
        ConnectionLost => "connectionLost",
        /// The service cannot be asked just now.
        Unavailable => "unavailable",
        /// The service has a bug, or calls it one.
        Internal => "internal",
        /// The service gave the call up for another one.
        Aborted => "aborted",
        /// The service does not say why.
        Unknown => "unknown",
        /// The service has lost data.
        DataLoss => "dataLoss",
        /// The service says that the request reaches past an end.
        OutOfRange => "outOfRange",
        /// An error that says it is none, or an answer that names no run.
        EmptyAnswer => "emptyAnswer",
        /// An HTTP answer that is no gRPC.
        NotGrpc => "notGrpc",
        /// Other clients began and ended runs under the Workflow ID while this start looked.
        Contended => "contended",
        /// The answer did not come before the interrupted apply ended.
        Interrupted => "interrupted",
    }
}

words! {
    /// What ran out when a call was throttled. Source: temporal `ResourceExhaustedCause`.
    ThrottleCause {
        /// The service does not say.
        Unspecified => "UNSPECIFIED",
        /// Requests per second.
        RpsLimit => "RPS_LIMIT",
        /// Requests at a time.
        ConcurrentLimit => "CONCURRENT_LIMIT",
        /// The whole service has too much to do.
        SystemOverloaded => "SYSTEM_OVERLOADED",
        /// Requests per second to the service's database.
        PersistenceLimit => "PERSISTENCE_LIMIT",
        /// Requests under one Workflow ID; others are not concerned.
        BusyWorkflow => "BUSY_WORKFLOW",
        /// Actions per second.
        ApsLimit => "APS_LIMIT",
        /// Room in the service's database.
        PersistenceStorageLimit => "PERSISTENCE_STORAGE_LIMIT",
        /// A part of the service is not asked for a while, because it failed too often.
        CircuitBreakerOpen => "CIRCUIT_BREAKER_OPEN",
        /// Operations per second.
        OpsLimit => "OPS_LIMIT",
        /// Worker Deployments or their versions.
        WorkerDeploymentLimits => "WORKER_DEPLOYMENT_LIMITS",
        /// Something that only a newer service knows.
        Unknown => "UNKNOWN",
    }
}

words! {
    /// Whose limit was met when a call was throttled. Source: temporal `ResourceExhaustedScope`.
    ThrottleScope {
        /// The namespace's.
        Namespace => "NAMESPACE",
        /// The whole service's.
        System => "SYSTEM",
    }
}
