//! A gRPC status with its details as a [`StartError`].
//!
//! Source of the codes and details: temporal `service/frontend/errors.go` and
//! `common/rpc/interceptor`, api-go `serviceerror/convert.go`.

use std::error::Error;

use prost::{Message, Name};
use tonic::{Code, Status};

use super::api::google::rpc;
use super::api::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};
use super::api::temporal::api::errordetails::v1::{
    ClientVersionNotSupportedFailure, NamespaceInvalidStateFailure, NamespaceNotActiveFailure,
    NamespaceNotFoundFailure, ResourceExhaustedFailure, ServerVersionNotSupportedFailure,
    WorkflowExecutionAlreadyStartedFailure,
};
use crate::run::starter::{Class, Existing, StartError};

/// What gRPC servers say, without any details, about a message over their size limit.
const TOO_LARGE_PREFIXES: [&str; 2] = [
    "grpc: received message larger than max",
    "grpc: received message after decompression larger than max",
];

/// What tonic says when the deadline of a call passes on our side.
const OWN_DEADLINE: &str = "Timeout expired";

/// Reads a status.
pub(super) fn start_error(status: &Status) -> StartError {
    let details = Details::of(status);
    let error = |class, reason| StartError {
        class,
        code: code_name(status.code()),
        reason,
        message: words(status),
        cause: None,
        scope: None,
    };
    match status.code() {
        Code::AlreadyExists => match details.get::<WorkflowExecutionAlreadyStartedFailure>() {
            Some(failure) => {
                let existing = Existing {
                    request_id: failure.start_request_id,
                    run_id: failure.run_id,
                    first_run_id: failure.first_execution_run_id,
                    closed: closed_by_words(status.message()),
                };
                error(Class::Existing(Box::new(existing)), "workflowExists")
            }
            None => error(Class::Refused, "alreadyExists"),
        },
        Code::NotFound if details.has::<NamespaceNotFoundFailure>() => {
            error(Class::Fatal, "namespaceNotFound")
        }
        Code::NotFound => error(Class::Refused, "notFound"),
        Code::InvalidArgument => error(Class::Refused, "invalidArgument"),
        Code::FailedPrecondition => {
            if details.has::<NamespaceInvalidStateFailure>() {
                error(Class::Fatal, "namespaceInvalidState")
            } else if details.has::<NamespaceNotActiveFailure>() {
                error(Class::Fatal, "namespaceNotActive")
            } else if details.has::<ClientVersionNotSupportedFailure>() {
                error(Class::Fatal, "clientVersionNotSupported")
            } else if details.has::<ServerVersionNotSupportedFailure>() {
                error(Class::Fatal, "serverVersionNotSupported")
            } else {
                error(Class::Refused, "failedPrecondition")
            }
        }
        Code::ResourceExhausted => match details.get::<ResourceExhaustedFailure>() {
            None if TOO_LARGE_PREFIXES
                .iter()
                .any(|prefix| status.message().starts_with(prefix)) =>
            {
                error(Class::Refused, "messageTooLarge")
            }
            failure => StartError {
                cause: failure.as_ref().map(cause_name),
                scope: failure.as_ref().and_then(scope_name),
                ..error(Class::Throttled, "throttled")
            },
        },
        Code::PermissionDenied => error(Class::Fatal, "permissionDenied"),
        Code::Unauthenticated => error(Class::Fatal, "unauthenticated"),
        Code::Unimplemented => error(Class::Refused, "unimplemented"),
        Code::DeadlineExceeded => error(Class::Unanswered, "deadlineExceeded"),
        Code::Cancelled if status.message() == OWN_DEADLINE => StartError {
            code: code_name(Code::DeadlineExceeded),
            message: "the service did not answer in time".to_owned(),
            ..error(Class::Unanswered, "deadlineExceeded")
        },
        Code::Cancelled => error(Class::Unanswered, "cancelled"),
        Code::Unavailable if status.source().is_some() => {
            error(Class::Unanswered, "connectionLost")
        }
        Code::Unknown if status.source().is_some() => StartError {
            code: code_name(Code::Unavailable),
            ..error(Class::Unanswered, "connectionLost")
        },
        Code::Unavailable => error(Class::Transient, "unavailable"),
        Code::Internal => error(Class::Transient, "internal"),
        Code::Aborted => error(Class::Transient, "aborted"),
        Code::Unknown => error(Class::Transient, "unknown"),
        Code::DataLoss => error(Class::Transient, "dataLoss"),
        Code::OutOfRange => error(Class::Transient, "outOfRange"),
        Code::Ok => error(Class::Transient, "emptyAnswer"),
    }
}

/// The service's words; for a transport error what happened underneath.
fn words(status: &Status) -> String {
    let mut words = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !words.contains(&text) {
            if !words.is_empty() {
                words.push_str(": ");
            }
            words.push_str(&text);
        }
        source = error.source();
    }
    words
}

/// Whether the run in the way is closed. The details do not say; the message does:
/// "Workflow execution is already running" or "already finished successfully".
fn closed_by_words(message: &str) -> Option<bool> {
    let says = |word| message.contains(word);
    match (
        says("already running") || says("is running"),
        says("finished"),
    ) {
        (true, false) => Some(false),
        (false, true) => Some(true),
        _ => None,
    }
}

/// The details of a status.
struct Details(Vec<prost_types::Any>);

impl Details {
    fn of(status: &Status) -> Self {
        Details(
            rpc::Status::decode(status.details())
                .map(|status| status.details)
                .unwrap_or_default(),
        )
    }

    fn get<D: Message + Name + Default>(&self) -> Option<D> {
        self.0.iter().find_map(|any| any.to_msg::<D>().ok())
    }

    fn has<D: Message + Name + Default>(&self) -> bool {
        self.get::<D>().is_some()
    }
}

fn cause_name(failure: &ResourceExhaustedFailure) -> &'static str {
    let name = ResourceExhaustedCause::try_from(failure.cause).map(|cause| cause.as_str_name());
    name.map_or("UNKNOWN", |name| {
        name.trim_start_matches("RESOURCE_EXHAUSTED_CAUSE_")
    })
}

fn scope_name(failure: &ResourceExhaustedFailure) -> Option<&'static str> {
    match ResourceExhaustedScope::try_from(failure.scope) {
        Ok(ResourceExhaustedScope::Namespace) => Some("NAMESPACE"),
        Ok(ResourceExhaustedScope::System) => Some("SYSTEM"),
        _ => None,
    }
}

/// The name of a status code as the gRPC specification spells it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
