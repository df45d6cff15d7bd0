//! A gRPC status with its details as a [`StartError`].
//!
//! Source of the codes and details: temporal `service/frontend/errors.go` and
//! `common/rpc/interceptor`, api-go `serviceerror/convert.go`.

use std::error::Error;

use prost::{Message, Name};
use tonic::codegen::http::StatusCode;
use tonic::{Code, Status};

use super::api::google::rpc;
use super::api::temporal::api::enums::v1::{ResourceExhaustedCause, ResourceExhaustedScope};
use super::api::temporal::api::errordetails::v1::{
    ClientVersionNotSupportedFailure, NamespaceInvalidStateFailure, NamespaceNotActiveFailure,
    NamespaceNotFoundFailure, ResourceExhaustedFailure, ServerVersionNotSupportedFailure,
    WorkflowExecutionAlreadyStartedFailure,
};
use super::call::NOT_IN_TIME;
use super::grpc_only::NotGrpc;
use crate::run::starter::{Class, Existing, StartError};

/// What gRPC servers say, without any details, about a message over their size limit.
const TOO_LARGE_PREFIXES: [&str; 2] = [
    "grpc: received message larger than max",
    "grpc: received message after decompression larger than max",
];

/// What tonic says when the deadline of a call passes on our side.
const OWN_DEADLINE: &str = "Timeout expired";

/// Reads a status. One with a cause was made on the way, and the service has not said it.
pub(super) fn start_error(status: &Status) -> StartError {
    let error = |class, reason| StartError {
        class,
        code: code_name(status.code()),
        reason,
        message: words(status),
        cause: None,
        scope: None,
    };
    match status.source() {
        Some(_) if status.message() == OWN_DEADLINE => StartError {
            code: code_name(Code::DeadlineExceeded),
            message: NOT_IN_TIME.to_owned(),
            ..error(Class::Unanswered, "deadlineExceeded")
        },
        Some(source) => match source.downcast_ref::<NotGrpc>() {
            Some(NotGrpc::Http(http)) => {
                let (class, reason) = http_error(*http);
                error(class, reason)
            }
            Some(NotGrpc::CutOff) | None => StartError {
                code: code_name(Code::Unavailable),
                ..error(Class::Unanswered, "connectionLost")
            },
        },
        None => answered(status, error),
    }
}

/// What an answer means that is HTTP and no gRPC: a proxy or a load balancer spoke for the service.
fn http_error(status: StatusCode) -> (Class, &'static str) {
    match status.as_u16() {
        401 => (Class::Fatal, "unauthenticated"),
        403 => (Class::Fatal, "permissionDenied"),
        // Nobody there knows the service.
        404 => (Class::Fatal, "notGrpc"),
        429 | 502 | 503 | 504 => (Class::Transient, "unavailable"),
        _ => (Class::Transient, "notGrpc"),
    }
}

/// Reads a status that the service has answered with.
fn answered(status: &Status, error: impl Fn(Class, &'static str) -> StartError) -> StartError {
    let details = Details::of(status);
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
        Code::Cancelled => error(Class::Unanswered, "cancelled"),
        Code::Unavailable => error(Class::Transient, "unavailable"),
        Code::Internal => error(Class::Transient, "internal"),
        Code::Aborted => error(Class::Transient, "aborted"),
        Code::Unknown => error(Class::Transient, "unknown"),
        Code::DataLoss => error(Class::Transient, "dataLoss"),
        Code::OutOfRange => error(Class::Transient, "outOfRange"),
        Code::Ok => error(Class::Transient, "emptyAnswer"),
    }
}

/// An answer that says nothing, or is another message's.
pub(super) fn empty_answer() -> StartError {
    StartError {
        class: Class::Unanswered,
        code: code_name(Code::Ok),
        reason: "emptyAnswer",
        message: "the service's answer describes no run".to_owned(),
        cause: None,
        scope: None,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16) -> Status {
        NotGrpc::Http(StatusCode::from_u16(status).expect("a status")).into()
    }

    fn with_cause(code: Code) -> Status {
        let mut status = Status::new(code, "h2 protocol error");
        status.set_source(std::sync::Arc::new(std::io::Error::other("reset")));
        status
    }

    #[test]
    fn what_the_service_has_not_said_is_told_apart() {
        let unanswered = |code| (with_cause(code), "UNAVAILABLE", "connectionLost");
        let table = [
            (http(200), "UNKNOWN", "notGrpc", Class::Transient),
            (http(301), "UNKNOWN", "notGrpc", Class::Transient),
            (http(400), "INTERNAL", "notGrpc", Class::Transient),
            (
                http(401),
                "UNAUTHENTICATED",
                "unauthenticated",
                Class::Fatal,
            ),
            (
                http(403),
                "PERMISSION_DENIED",
                "permissionDenied",
                Class::Fatal,
            ),
            (http(404), "UNIMPLEMENTED", "notGrpc", Class::Fatal),
            (http(429), "UNAVAILABLE", "unavailable", Class::Transient),
            (http(500), "UNKNOWN", "notGrpc", Class::Transient),
            (http(502), "UNAVAILABLE", "unavailable", Class::Transient),
            (http(503), "UNAVAILABLE", "unavailable", Class::Transient),
            (http(504), "UNAVAILABLE", "unavailable", Class::Transient),
        ];
        let causes = [
            Code::Internal,
            Code::Unknown,
            Code::Unavailable,
            Code::Cancelled,
            Code::ResourceExhausted,
            Code::PermissionDenied,
        ];
        let lost = (causes.into_iter().map(unanswered))
            .chain([(NotGrpc::CutOff.into(), "UNAVAILABLE", "connectionLost")])
            .map(|(status, code, reason)| (status, code, reason, Class::Unanswered));
        for (status, code, reason, class) in table.into_iter().chain(lost) {
            let error = start_error(&status);
            assert_eq!((error.code, error.reason), (code, reason), "{status}");
            assert_eq!(error.class, class, "{status}");
        }
        let error = start_error(&Status::internal("a bug"));
        assert_eq!((error.reason, error.class), ("internal", Class::Transient));
        let words = start_error(&http(503)).message;
        assert_eq!(
            words,
            "HTTP 503 Service Unavailable instead of a gRPC answer"
        );
    }
}
